//! The shop's pages: their names and addresses, written straight into a row.

use super::catalogue::{ARTICLES, CATEGORIES, HELP, Product};
use super::field::{integer, text};

/// A page of the shop. Indices point into the catalogue's lists.
#[derive(Debug, Clone, Copy)]
pub enum Page {
    Home,
    Category(usize),
    Product(Product),
    Search,
    Cart,
    Checkout,
    OrderThanks,
    LeadForm,
    LeadThanks,
    Login,
    Article(usize),
    Help(usize),
}

impl Page {
    /// The site section.
    pub fn section(self) -> &'static str {
        match self {
            Page::Home => "home",
            Page::Category(_) | Page::Product(_) | Page::Search => "shop",
            Page::Cart | Page::Checkout | Page::OrderThanks => "checkout",
            Page::LeadForm | Page::LeadThanks => "advice",
            Page::Login => "account",
            Page::Article(_) => "magazine",
            Page::Help(_) => "help",
        }
    }

    /// The kind of page.
    pub fn template(self) -> &'static str {
        match self {
            Page::Home => "home",
            Page::Category(_) => "category",
            Page::Product(_) => "product",
            Page::Search => "search results",
            Page::Cart => "cart",
            Page::Checkout => "checkout",
            Page::OrderThanks => "order thank you",
            Page::LeadForm => "advice request",
            Page::LeadThanks => "advice thank you",
            Page::Login => "log-in",
            Page::Article(_) => "article",
            Page::Help(_) => "help",
        }
    }

    /// Appends the page's name: its template, and what it is about.
    pub fn write_name(self, out: &mut Vec<u8>) {
        text(out, self.template());
        match self {
            Page::Category(c) => about(out, &[CATEGORIES[c]]),
            Page::Product(p) => about(out, &p.name()),
            Page::Article(a) => about(out, &[ARTICLES[a]]),
            Page::Help(h) => about(out, &[HELP[h]]),
            _ => {}
        }
    }

    /// Appends the page's address.
    pub fn write_url(self, out: &mut Vec<u8>) {
        text(out, "https://shop.example/");
        let (path, number) = match self {
            Page::Home => ("", None),
            Page::Category(c) => ("c/", Some(c)),
            Page::Product(p) => ("p/", Some(1000 + p.rank)),
            Page::Search => ("search?q=1", None),
            Page::Cart => ("cart", None),
            Page::Checkout => ("checkout", None),
            Page::OrderThanks => ("thank-you", None),
            Page::LeadForm => ("advice", None),
            Page::LeadThanks => ("advice/thank-you", None),
            Page::Login => ("login", None),
            Page::Article(a) => ("magazine/", Some(a)),
            Page::Help(h) => ("help/", Some(h)),
        };
        text(out, path);
        if let Some(number) = number {
            integer(out, number as u64);
        }
    }
}

fn about(out: &mut Vec<u8>, words: &[&str]) {
    out.push(b':');
    for word in words {
        out.push(b' ');
        text(out, word);
    }
}
