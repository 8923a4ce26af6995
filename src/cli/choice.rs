//! Choices of the command line whose typed word is the word that the lake stores.

/// Declares a choice whose typed word is the word that the lake stores.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $word:literal),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub enum $name { $(#[value(name = $word)] $variant),* }

        impl $name {
            /// The word as typed and stored.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

pub(super) use choice;
