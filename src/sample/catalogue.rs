//! What the shop sells, who advertises it, and what its visitors browse with: constant lists, and the lookup tables.
//!
//! Ids of browsers, countries and so on are the rows' places in the lookup tables that a delivery carries.

/// An online campaign: its tracking code and how visitors reach the shop by it.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    pub code: &'static str,
    pub channel: Channel,
}

/// A marketing channel; the discriminant is its id in `va_closer_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    PaidSearch = 1,
    NaturalSearch = 2,
    Display = 3,
    Email = 4,
    #[default]
    Direct = 5,
    Social = 6,
    Affiliate = 7,
    Referral = 8,
}

const fn campaign(code: &'static str, channel: Channel) -> Campaign {
    Campaign { code, channel }
}

/// Campaigns, the most frequent first.
pub const CAMPAIGNS: [Campaign; 24] = [
    campaign("ps:brand", Channel::PaidSearch),
    campaign("em:newsletter", Channel::Email),
    campaign("so:instagram_autumn", Channel::Social),
    campaign("ps:hiking_boots", Channel::PaidSearch),
    campaign("di:retargeting", Channel::Display),
    campaign("em:basket_reminder", Channel::Email),
    campaign("af:outdoorblog", Channel::Affiliate),
    campaign("ps:tents", Channel::PaidSearch),
    campaign("so:facebook_video", Channel::Social),
    campaign("di:weather_app", Channel::Display),
    campaign("em:welcome", Channel::Email),
    campaign("ps:café_camping", Channel::PaidSearch),
    campaign("af:coupon_site", Channel::Affiliate),
    campaign("so:pinterest", Channel::Social),
    campaign("di:video_preroll", Channel::Display),
    campaign("em:winter_sale", Channel::Email),
    campaign("ps:competitor", Channel::PaidSearch),
    campaign("af:cashback", Channel::Affiliate),
    campaign("so:tiktok", Channel::Social),
    campaign("di:magazine", Channel::Display),
    campaign("em:birthday", Channel::Email),
    campaign("ps:long_tail", Channel::PaidSearch),
    campaign("af:price_compare", Channel::Affiliate),
    campaign("so:creator_münchen", Channel::Social),
];

/// Site sections.
pub const CATEGORIES: [&str; 6] = ["Boots & Shoes", "Tents", "Jackets", "Küche", "Backpacks", "Light"];

/// What a thing is, and its category.
const THINGS: [(&str, usize); 12] = [
    ("Trail Boots, wide", 0),
    ("Wool Socks", 0),
    ("Tent, 2 persons", 1),
    ("Tent Peg 8=1 Set", 1),
    ("Rain Jacket", 2),
    ("Fleece", 2),
    ("Espresso Pot", 3),
    ("Crème brûlée Burner", 3),
    ("Backpack 45 l", 4),
    ("Hip Bag", 4),
    ("Head Lamp; USB", 5),
    ("Lantern", 5),
];

const MAKES: [&str; 20] = [
    "Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Iris", "Juniper", "Kauri", "Larch", "Maple",
    "Nettle", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Tamarack",
];

/// How many products there are.
pub const PRODUCTS: usize = THINGS.len() * MAKES.len();

/// A product by its popularity rank.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    pub rank: usize,
}

impl Product {
    /// Spreads popularity over all things: 97 and the number of products have no common factor.
    fn place(self) -> usize {
        self.rank * 97 % PRODUCTS
    }

    /// Maker and thing; together the product's name.
    pub fn name(self) -> [&'static str; 2] {
        [MAKES[self.place() % MAKES.len()], THINGS[self.place() / MAKES.len()].0]
    }

    /// Index into [`CATEGORIES`].
    pub fn category(self) -> usize {
        THINGS[self.place() / MAKES.len()].1
    }

    /// The price of one.
    pub fn cents(self) -> u64 {
        790 + (self.place() as u64 * 37 % 171) * 100 + (self.place() as u64 % 3) * 5
    }
}

/// Terms typed into the shop's search; some hold what people paste.
pub const SEARCH_TERMS: [&str; 24] = [
    "boots",
    "tent",
    "tent 2 persons",
    "rain jacket",
    "wool socks",
    "head lamp",
    "backpack",
    "gift card",
    "espresso",
    "waterproof boots size 44",
    "größe 42",
    "crème",
    "lantern",
    "tent\t2 person",
    "returns",
    "C:\\fakepath\\list.txt",
    "socks\nboots",
    "hip bag",
    "スキー",
    "store hours",
    "fleece men",
    "gorse",
    "50% off",
    "\"trail boots\"",
];

/// Words that lead from a search engine, which mostly keeps them to itself.
pub const KEYWORDS: [&str; 8] = [
    "::keyword unavailable::",
    "outdoor shop",
    "trail boots",
    "tent 2 persons",
    "alder boots",
    "zelt kaufen",
    "tente légère",
    "head lamp usb",
];

/// Articles and help pages.
pub const ARTICLES: [&str; 10] = [
    "how to lace boots",
    "ten hikes",
    "Größen finden",
    "wool or cotton",
    "tents compared",
    "coffee outdoors",
    "packing list",
    "in the rain",
    "family trips",
    "winter nights",
];
pub const HELP: [&str; 5] = ["delivery", "returns", "payment", "sizes", "contact"];

/// Tags of a page (list variable 1), joined as a feed joins them.
pub const TAGS: [&str; 6] = [
    "new--**--autumn",
    "sale--**--buy 2^, pay 1",
    "sale",
    "autumn--**--staff pick--**--new",
    "staff pick",
    "1^=1--**--sale",
];

/// Where referred visitors come from.
pub const REFERRERS: [&str; 6] =
    ["outdoorblog.example", "news.example", "wander.example", "forum.example", "maps.example", "münchen.example"];
pub const SOCIAL: [&str; 4] = ["instagram.com", "facebook.com", "pinterest.com", "t.co"];

/// Search engines: id and domain.
pub const ENGINES: [(u32, &str); 3] = [(1, "google.com"), (2, "bing.com"), (3, "duckduckgo.com")];

/// A country: id, code in `geo_country`, language id, `accept_language`, states.
#[derive(Debug)]
pub struct Country {
    pub id: u32,
    pub code: &'static str,
    pub language: u32,
    pub accept_language: &'static str,
    pub states: &'static [&'static str],
}

pub const COUNTRIES: [Country; 5] = [
    Country {
        id: 1,
        code: "usa",
        language: 1,
        accept_language: "en-US,en;q=0.9",
        states: &["CA", "NY", "TX", "WA", "CO", "IL"],
    },
    Country {
        id: 2,
        code: "deu",
        language: 2,
        accept_language: "de-DE,de;q=0.9",
        states: &["Bayern", "Berlin", "Thüringen"],
    },
    Country { id: 3, code: "gbr", language: 1, accept_language: "en-GB,en;q=0.8", states: &["England", "Scotland"] },
    Country {
        id: 4,
        code: "fra",
        language: 3,
        accept_language: "fr-FR,fr;q=0.9",
        states: &["Île-de-France", "Bretagne"],
    },
    Country { id: 5, code: "jpn", language: 4, accept_language: "ja", states: &["東京都", "大阪府"] },
];

/// A device: browser id, operating system id, mobile id (0 = none), resolution id, user agent.
#[derive(Debug)]
pub struct Device {
    pub browser: u32,
    pub os: u32,
    pub mobile: u32,
    pub resolution: u32,
    pub user_agent: &'static str,
}

pub const DEVICES: [Device; 5] = [
    Device {
        browser: 1,
        os: 3,
        mobile: 2071,
        resolution: 2,
        user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile Safari/604.1",
    },
    Device {
        browser: 2,
        os: 1,
        mobile: 0,
        resolution: 1,
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36",
    },
    Device {
        browser: 3,
        os: 4,
        mobile: 3115,
        resolution: 3,
        user_agent: "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36",
    },
    Device {
        browser: 4,
        os: 1,
        mobile: 0,
        resolution: 1,
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    },
    Device {
        browser: 5,
        os: 2,
        mobile: 0,
        resolution: 4,
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.6 Safari/605.1.15",
    },
];

/// What `excluded` hits come from.
pub const ROBOT: Device = Device { browser: 6, os: 5, mobile: 0, resolution: 1, user_agent: "price-robot/2.1" };

/// The lookup tables of a delivery but `column_headers.tsv`: file name and text, id TAB name.
pub const LOOKUPS: [(&str, &str); 11] = [
    (
        "browser.tsv",
        "0\tUnknown\n1\tMobile Safari 18.6\n2\tGoogle Chrome 141.0\n3\tChrome Mobile 141.0\n4\tMozilla Firefox 143.0\n5\tSafari 18.6\n6\tPrice Robot 2.1\n",
    ),
    ("browser_type.tsv", "0\tUnknown\n1\tApple\n2\tGoogle\n3\tMozilla\n"),
    ("connection_type.tsv", "0\tUnknown\n1\tModem\n2\tLAN/Wifi\n3\tMobile Carrier\n"),
    ("country.tsv", "0\tUnknown\n1\tUnited States\n2\tGermany\n3\tUnited Kingdom\n4\tFrance\n5\tJapan\n"),
    (
        "event.tsv",
        "1\tPurchase\n2\tProduct View\n10\tCart Open\n11\tCheckout\n12\tCart Add\n13\tCart Remove\n14\tCart View\n\
         100\tInstance of eVar1\n101\tInstance of eVar2\n102\tInstance of eVar3\n103\tInstance of eVar4\n104\tInstance of eVar5\n105\tInstance of eVar6\n\
         200\tCustom Event 1\n201\tCustom Event 2\n202\tCustom Event 3\n203\tCustom Event 4\n\
         204\tCustom Event 5\n205\tCustom Event 6\n206\tCustom Event 7\n207\tCustom Event 8\n\
         208\tCustom Event 9\n209\tCustom Event 10\n210\tCustom Event 11\n211\tCustom Event 12\n\
         212\tCustom Event 13\n213\tCustom Event 14\n214\tCustom Event 15\n215\tCustom Event 16\n\
         216\tCustom Event 17\n217\tCustom Event 18\n218\tCustom Event 19\n219\tCustom Event 20\n",
    ),
    ("javascript_version.tsv", "0\tUnknown\n1\tJavaScript 1.8\n"),
    ("languages.tsv", "0\tUnknown\n1\tEnglish\n2\tGerman\n3\tFrench\n4\tJapanese\n"),
    ("operating_systems.tsv", "0\tNot Specified\n1\tWindows 10\n2\tmacOS\n3\tiOS 18\n4\tAndroid 15\n5\tLinux\n"),
    (
        "referrer_type.tsv",
        "1\tOther Web Sites\n3\tSearch Engines\n6\tTyped/Bookmarked\n7\tE-mail\n9\tSocial Networks\n",
    ),
    ("resolution.tsv", "0\tUnknown\n1\t1920 x 1080\n2\t390 x 844\n3\t412 x 915\n4\t2560 x 1440\n"),
    ("search_engines.tsv", "0\tNone\n1\tGoogle\n2\tMicrosoft Bing\n3\tDuckDuckGo\n"),
];
