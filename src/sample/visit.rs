//! A visit of the crowd as it goes on: which hit comes next, and when.
//!
//! Goes in: a decided [`Visit`]; comes out: its hits, one by one, and the moments that offline records may follow.

use super::calendar::LONGEST_VISIT_SECONDS;
use super::catalogue::{ARTICLES, CATEGORIES, Campaign, HELP, PRODUCTS, Product, SEARCH_TERMS, TAGS};
use super::crowd::{Crowd, Purpose, Visit, VisitStart, Visitor};
use super::field::integer;
use super::hit::{Hit, Person};
use super::page::Page;
use super::random::{Random, Zipf, mix};

/// Something that offline records may refer to.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// A purchase with transaction ID `T<number>`.
    Order { number: u64, cents: u64, units: u64 },
    /// A request for advice with transaction ID `L<number>`.
    Lead { number: u64 },
    /// A customer logged in.
    Login { visitor: Visitor, customer: u64 },
}

/// Running numbers of what has happened online; excluded and background hits and repeated purchases do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub visitors: u64,
    pub visits: u64,
    pub excluded_hits: u64,
    pub orders: u64,
    pub units: u64,
    pub revenue_cents: u64,
    pub leads: u64,
}

/// How often the terms and products are chosen; the same for all visits.
#[derive(Debug)]
pub struct Tastes {
    terms: Zipf,
    products: Zipf,
}

impl Tastes {
    /// The shop's.
    pub fn new() -> Self {
        Self { terms: Zipf::new(SEARCH_TERMS.len()), products: Zipf::new(PRODUCTS) }
    }
}

/// First numbers of transaction IDs, less one.
const NUMBERS_AFTER: u64 = 1_000_000;

/// Most lines in a cart.
const CART_LINES: usize = 3;

/// A visit under way.
#[derive(Debug)]
pub struct OpenVisit {
    visitor: Visitor,
    index: u64,
    visit: Visit,
    person: Person,
    persisted: Option<Campaign>,
    first_referring_domain: &'static str,
    random: Random,
    /// When the next hit comes.
    pub time: u32,
    done: u32,
    pages: u32,
    evars: [&'static str; 5],
    topic: &'static str,
    viewed: Option<Product>,
    cart: Vec<(Product, u64)>,
    order: u64,
    placeholder: &'static str,
}

impl OpenVisit {
    /// Opens a visit. None where its visitor does not exist, which no start of this crowd says.
    pub fn new(crowd: &Crowd, start: VisitStart) -> Option<Self> {
        let visitor = crowd.visitor(start.visitor.into())?;
        let index = u64::from(start.visit);
        let visit = crowd.visit(visitor, index);
        let mut random = Random::new(mix(visit.key, 7));
        let placeholder = if random.chance(15) { random.pick(&["0", "null"]) } else { "" };
        let variant = if visitor.key & 1 == 0 { "layout A" } else { "layout B" };
        let status = if index == 0 { "new" } else { "returning" };
        Some(Self {
            person: crowd.person(visitor),
            persisted: crowd.persisted_campaign(visitor, index),
            first_referring_domain: crowd.visit(visitor, 0).entry.referring_domain,
            random,
            time: visit.start,
            done: 0,
            pages: 0,
            evars: ["", status, variant, "", ""],
            topic: "",
            viewed: None,
            cart: Vec::new(),
            order: 0,
            placeholder: if visit.login || visit.excluded || visit.background { "" } else { placeholder },
            visitor,
            index,
            visit,
        })
    }

    /// True until the last hit.
    pub fn is_open(&self) -> bool {
        self.done < self.visit.hits
    }

    /// Makes the next hit and moves on.
    pub fn next_hit(&mut self, crowd: &Crowd, tastes: &Tastes, totals: &mut Totals, hit: &mut Hit) -> Option<Moment> {
        hit.clear();
        if self.done == 0 {
            totals.visits += 1;
            totals.visitors += u64::from(self.index == 0);
            hit.campaign_set = self.visit.campaign.map_or("", |campaign| campaign.code);
            hit.evars_set[1] = self.evars[1];
            if self.index == 0 {
                hit.evars_set[2] = self.evars[2];
            }
        }
        hit.time = self.time;
        hit.person = self.person;
        hit.visit_num = self.index as u32 + 1;
        hit.visit_start = self.visit.start;
        hit.excluded = self.visit.excluded;
        hit.background = self.visit.background;
        totals.excluded_hits += u64::from(self.visit.excluded || self.visit.background);
        hit.campaign = self.persisted.map_or("", |campaign| campaign.code);
        hit.entry = self.visit.entry;
        hit.first_referring_domain = self.first_referring_domain;

        let to_come = self.visit.hits - self.done - 1;
        let moment = match (self.visit.purpose, to_come) {
            (Purpose::Order { reload }, _) if to_come < 4 + u32::from(reload) => {
                self.order_step(to_come, reload, totals, tastes, hit)
            }
            (Purpose::Lead, 1) => self.see(hit, Page::LeadForm),
            (Purpose::Lead, 0) => self.request_advice(totals, hit),
            _ if self.visit.login && self.done == 1 => self.log_in(crowd, hit),
            _ => self.browse(tastes, hit),
        };
        self.identify(crowd, hit);
        self.finish(hit);
        moment
    }

    /// What every hit ends with: persisted values, page number, instances of eVars, and the time of the next hit.
    fn finish(&mut self, hit: &mut Hit) {
        for (n, value) in (0..).zip(hit.evars_set) {
            if !value.is_empty() {
                self.evars[n as usize] = value;
                hit.event(100 + n);
            }
        }
        (hit.evars, hit.topic) = (self.evars, self.topic);
        self.pages += 1;
        hit.page_num = self.pages;
        self.done += 1;
        let pause = match self.random.below(20) {
            0 => 0,
            1..18 => 3 + self.random.below(90),
            _ => 60 + self.random.below(400),
        };
        self.time += pause.min(LONGEST_VISIT_SECONDS / self.visit.hits);
    }

    fn identify(&self, crowd: &Crowd, hit: &mut Hit) {
        match crowd.customer(self.visitor) {
            Some(customer) if self.visit.login && self.done >= 1 => customer_id(&mut hit.customer_id, customer),
            _ => hit.customer_id.extend_from_slice(self.placeholder.as_bytes()),
        }
    }

    fn see(&self, hit: &mut Hit, page: Page) -> Option<Moment> {
        hit.page = Some(page);
        None
    }

    fn view_product(&mut self, tastes: &Tastes, hit: &mut Hit) {
        let product = Product { rank: tastes.products.pick(&mut self.random) };
        self.viewed = Some(product);
        hit.page = Some(Page::Product(product));
        hit.event(2);
        hit.found_by = self.found_by();
        hit.product(product, 0);
        hit.tags = TAGS[product.rank % TAGS.len()];
        if self.evars[3].is_empty() || self.random.chance(300) {
            hit.evars_set[3] = if self.done == 0 { "campaign" } else { self.found_by() };
        }
    }

    fn found_by(&self) -> &'static str {
        if self.evars[0].is_empty() { "browse" } else { "search" }
    }

    fn browse(&mut self, tastes: &Tastes, hit: &mut Hit) -> Option<Moment> {
        let landing = self.done == 0;
        match self.random.below(100) {
            0..40 => self.view_product(tastes, hit),
            40..60 => hit.page = Some(Page::Category(self.random.below(CATEGORIES.len() as u32) as usize)),
            60..72 if landing => hit.page = Some(Page::Home),
            60..72 => self.search(tastes, hit),
            72..77 if self.viewed.is_some() => self.add_to_cart(hit),
            72..84 => {
                let article = self.random.below(ARTICLES.len() as u32) as usize;
                hit.page = Some(Page::Article(article));
                hit.tags = TAGS[article % TAGS.len()];
                // a processing rule sets it; the page sends nothing
                self.topic = ARTICLES[article];
                hit.event(105);
            }
            84..88 => {
                hit.page = Some(Page::Help(self.random.below(HELP.len() as u32) as usize));
                // the rule takes away what these pages send
                hit.topic_sent = "help";
            }
            88..92 if !self.cart.is_empty() => {
                hit.page = Some(Page::Cart);
                hit.event(14);
            }
            _ => hit.page = Some(Page::Home),
        }
        None
    }

    fn search(&mut self, tastes: &Tastes, hit: &mut Hit) {
        let term = SEARCH_TERMS[tastes.terms.pick(&mut self.random)];
        hit.page = Some(Page::Search);
        hit.search_term = term;
        hit.evars_set[0] = term;
        hit.event(201);
        // A numeric event: how many results the search had.
        hit.event(203);
        hit.events.push(b'=');
        integer(&mut hit.events, self.random.below(60).into());
    }

    /// A link on the product's page, so no page view.
    fn add_to_cart(&mut self, hit: &mut Hit) {
        let product = self.viewed.unwrap_or(Product { rank: 0 });
        let quantity = 1 + u64::from(self.random.chance(200));
        hit.link = "add to cart";
        if self.cart.is_empty() {
            hit.event(10);
        }
        hit.event(12);
        hit.found_by = self.found_by();
        hit.product(product, quantity);
        if self.cart.len() < CART_LINES {
            self.cart.push((product, quantity));
        }
    }

    fn order_step(
        &mut self,
        to_come: u32,
        reload: bool,
        totals: &mut Totals,
        tastes: &Tastes,
        hit: &mut Hit,
    ) -> Option<Moment> {
        if reload && to_come == 0 {
            hit.duplicate = true;
            self.thank_you_page(hit);
            return None;
        }
        match to_come - u32::from(reload) {
            3 => self.view_product(tastes, hit),
            2 => self.add_to_cart(hit),
            1 => {
                hit.page = Some(Page::Checkout);
                hit.event(11);
                self.cart.iter().for_each(|&(product, quantity)| hit.product(product, quantity));
            }
            _ => {
                totals.orders += 1;
                self.order = NUMBERS_AFTER + totals.orders;
                self.thank_you_page(hit);
                let cents = self.cart.iter().map(|&(product, quantity)| product.cents() * quantity).sum();
                let units = self.cart.iter().map(|&(_, quantity)| quantity).sum();
                totals.revenue_cents += cents;
                totals.units += units;
                return Some(Moment::Order { number: self.order, cents, units });
            }
        }
        None
    }

    fn thank_you_page(&self, hit: &mut Hit) {
        hit.page = Some(Page::OrderThanks);
        hit.event(1);
        self.cart.iter().for_each(|&(product, quantity)| hit.product(product, quantity));
        transaction_id(&mut hit.transaction_id, b'T', self.order);
    }

    fn request_advice(&self, totals: &mut Totals, hit: &mut Hit) -> Option<Moment> {
        totals.leads += 1;
        let number = NUMBERS_AFTER + totals.leads;
        hit.page = Some(Page::LeadThanks);
        hit.event(200);
        transaction_id(&mut hit.transaction_id, b'L', number);
        Some(Moment::Lead { number })
    }

    fn log_in(&self, crowd: &Crowd, hit: &mut Hit) -> Option<Moment> {
        hit.page = Some(Page::Login);
        hit.event(202);
        hit.evars_set[4] =
            ["gold", "silver", "silver", "basic", "basic", "basic"][(self.visitor.key >> 5) as usize % 6];
        let customer = crowd.customer(self.visitor)?;
        Some(Moment::Login { visitor: self.visitor, customer })
    }
}

/// Appends `C<number>`.
pub fn customer_id(out: &mut Vec<u8>, customer: u64) {
    transaction_id(out, b'C', NUMBERS_AFTER + customer);
}

/// Appends a letter and a number.
pub fn transaction_id(out: &mut Vec<u8>, letter: u8, number: u64) {
    out.push(letter);
    integer(out, number);
}
