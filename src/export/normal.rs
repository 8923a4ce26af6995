//! How a text about a person is written before it is hashed, as each target documents it, so that both sides get one hash.
//!
//! What is 64 hexadecimal digits already is taken to be such a hash and stays. What cannot be what it should be (an address
//! without `@`, a number without its country) gives nothing: a hash of it would match nobody.

use ring::digest::{SHA256, digest};

/// How a text is written before it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normal {
    /// Trimmed, lower case.
    Word,
    /// Lower case, no blanks, an `@` in it.
    Email,
    /// As `Email`; of Gmail's addresses without dots, and without a plus sign and what follows it.
    GoogleEmail,
    /// `+`, country and number: E.164.
    Phone,
    /// Country and number, without `+`.
    BarePhone,
    /// Lower case, without punctuation.
    Name,
    /// Lower case, letters and digits alone.
    Letters,
    /// Lower case, without blanks and hyphens; of a code such as `10115-1234` what stands before the hyphen.
    Postal,
    /// The first letter, lower case.
    Initial,
    /// Digits alone: YYYYMMDD.
    Date,
}

/// Digits of a number with its country, at least and at most, by E.164.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// SHA-256, as 64 hexadecimal digits in lower case.
pub fn sha256(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    digits.map(char::from).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Normal {
    /// The hash of a text; None where it is not what it should be. `country` is the number that phone numbers without one
    /// belong to.
    pub fn hash(self, text: &str, country: Option<&str>) -> Option<String> {
        let text = text.trim();
        if is_hash(text) {
            return Some(text.to_ascii_lowercase());
        }
        self.write(text, country).map(|normal| sha256(&normal))
    }

    /// The text as it is hashed.
    pub fn write(self, text: &str, country: Option<&str>) -> Option<String> {
        let text = text.trim();
        let lower = || text.to_lowercase();
        let written = match self {
            Normal::Word => lower(),
            Normal::Email | Normal::GoogleEmail => {
                let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
                let (user, domain) =
                    bare.rsplit_once('@').filter(|(user, domain)| !user.is_empty() && !domain.is_empty())?;
                match (self, domain) {
                    (Normal::GoogleEmail, "gmail.com" | "googlemail.com") => {
                        let user = user.split('+').next().unwrap_or_default().replace('.', "");
                        format!("{user}@{domain}")
                    }
                    _ => bare,
                }
            }
            Normal::Phone => format!("+{}", phone(text, country)?),
            Normal::BarePhone => phone(text, country)?,
            Normal::Name => lower().chars().filter(|c| c.is_alphanumeric() || c.is_whitespace()).collect(),
            Normal::Letters => lower().chars().filter(|c| c.is_alphanumeric()).collect(),
            Normal::Postal => {
                let code = lower().split('-').next().unwrap_or_default().to_string();
                code.chars().filter(|c| !c.is_whitespace()).collect()
            }
            Normal::Initial => lower().chars().take(1).collect(),
            Normal::Date => text.chars().filter(char::is_ascii_digit).collect(),
        };
        let written = written.trim().to_string();
        (!written.is_empty()).then_some(written)
    }
}

/// Country and number, digits alone.
fn phone(text: &str, country: Option<&str>) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = match (text.starts_with('+'), digits.strip_prefix("00"), country) {
        (true, ..) => digits,
        (false, Some(international), _) => international.to_string(),
        (false, None, Some(country)) => format!("{country}{}", digits.trim_start_matches('0')),
        (false, None, None) => return None,
    };
    PHONE_DIGITS.contains(&number.len()).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The examples of the documents: ECAPI 1.0 (examples.md), Data Manager API (Format user data), Conversions API
    /// (Customer information parameters).
    #[test]
    fn examples_of_the_documents() {
        let hash = |normal: Normal, text: &str| normal.hash(text, Some("1")).unwrap();
        for (normal, raw, expected) in [
            (Normal::Word, "User123", "e606e38b0d8c19b24cf0ee3808183162ea7cd63ff7912dbb22b5e803286b4446"),
            (Normal::Email, " User@example.com ", "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"),
            (Normal::Phone, "+1 212-555-0000", "7c8d08bf90ca322bcac37f99ba14e980e4b1f5ba919f7e16a030af9070ba125e"),
            (Normal::Name, " Jane ", "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"),
            (Normal::Name, " Smith ", "6627835f988e2c5e50533d491163072d3f4f41f5c8b04630150debb3722ca2dd"),
            (Normal::Word, " Female ", "9f165139a8c2894a47aea23b77d330eca847264224a44d5a17b19db8b9a72c08"),
            (Normal::Email, "John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
            (Normal::BarePhone, "(650)555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
            (Normal::Name, "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
            (Normal::Name, "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        ] {
            assert_eq!(hash(normal, raw), expected, "{raw}");
        }
        let google = |text: &str| Normal::GoogleEmail.write(text, None).unwrap();
        assert_eq!(google("cloudy.sanfrancisco+shopping@gmail.com"), "cloudysanfrancisco@gmail.com");
        assert_eq!(google("user.name+NYC@Example.com"), "user.name+nyc@example.com");
        assert_eq!(Normal::Phone.write("(800)555-0100", Some("1")).unwrap(), "+18005550100");
    }

    #[test]
    fn what_cannot_be_meant_is_left_out() {
        for (normal, text) in [
            (Normal::Email, "nobody"),
            (Normal::Email, "@example.com"),
            (Normal::Phone, "030 901820"),
            (Normal::Phone, "+49"),
            (Normal::Name, " - "),
            (Normal::Date, "unknown"),
        ] {
            assert_eq!(normal.hash(text, None), None, "{text}");
        }
        assert_eq!(Normal::Phone.write("030 901820", Some("49")).unwrap(), "+4930901820");
        assert_eq!(Normal::Phone.write("0049 30 901820", None).unwrap(), "+4930901820");
    }

    #[test]
    fn a_hash_stays() {
        let hash = sha256("a@b.c");
        assert_eq!(Normal::Email.hash(&hash.to_uppercase(), None), Some(hash));
    }
}
