//! How the catalogue is declared: from one entry the fact's structure, its place among the kinds, and what is known of
//! the kind alone.

macro_rules! catalogue {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $(<$life:lifetime>)? = $id:literal, $level:ident, $log:tt, $metric:tt, $remedy:tt {
            $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)*
        }
    )*) => {
        /// A fact.
        #[derive(Clone, Copy)]
        pub enum Event<'a> {
            $($(#[doc = $doc])+ $name($name $(<$life>)?),)*
        }

        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy)]
            pub struct $name $(<$life>)? {
                $($(#[doc = $field_doc])+ pub $field: $type,)*
            }

            impl<'a> From<$name $(<$life>)?> for Event<'a> {
                fn from(fact: $name $(<$life>)?) -> Event<'a> {
                    Event::$name(fact)
                }
            }
        )*

        /// The kinds of facts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Kind {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, for example `connect.refused`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// How loud it is.
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// `eventType` of the log entry that AWS writes for it, if it writes one.
            pub fn log_type(self) -> Option<LogType> {
                match self { $(Self::$name => optional!(LogType, $log),)* }
            }

            /// The AWS metric that counts it, if the kind alone decides. [`Event::metric`] knows the rest.
            pub fn metric(self) -> Option<Metric> {
                match self { $(Self::$name => optional!(Metric, $metric),)* }
            }

            /// What an operator can do about it, where the kind alone decides. [`Event::remedy`] knows the rest.
            pub fn remedy(self) -> Option<&'static str> {
                match self { $(Self::$name => text!($remedy),)* }
            }

            /// What it means.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)* }
            }

            /// The names of its fields.
            pub fn fields(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$(stringify!($field),)*],)* }
            }
        }

        impl Event<'_> {
            /// Its kind.
            #[inline]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name,)* }
            }
        }

        impl Display for Event<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name(fact) => fact.fmt(f),)* }
            }
        }
    };
}

macro_rules! optional {
    ($type:ident, -) => {
        None
    };
    ($type:ident, $value:ident) => {
        Some($type::$value)
    };
}

macro_rules! text {
    (-) => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

pub(crate) use {catalogue, optional, text};
