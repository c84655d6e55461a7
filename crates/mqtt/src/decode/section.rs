//! A property section (MQTT 5.0 section 2.2.2): which property comes next, may it stand here, once or often.

use bytes::{Bytes, BytesMut};

use crate::clause::{self, Clause};
use crate::decode::reader::Reader;
use crate::malformed::{Flaw, MalformedFault};
use crate::properties::{Places, Property, UserProperties};
use crate::text::Text;

/// The properties of one packet, or of a will, being read.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    reader: Reader<'a>,
    place: Places,
    users: Runs,
}

/// User properties as they stand in the section: one shared run in the usual case.
#[derive(Debug)]
enum Runs {
    Shared { from: usize, to: usize },
    Copied(BytesMut),
}

/// Stores a value that may come only once (MQTT 5.0 section 2.2.2.2: "more than once" is a Protocol Error).
pub(crate) fn once<T>(slot: &mut Option<T>, property: Property, value: T) -> Result<(), Flaw> {
    if slot.is_some() {
        return Err(Flaw::new(MalformedFault::DuplicateProperty { property }, clause::PROPERTY_SET));
    }
    *slot = Some(value);
    Ok(())
}

/// A value outside of what the property may say.
pub(crate) const fn bad_value(property: Property, clause: &'static Clause) -> Flaw {
    Flaw::new(MalformedFault::PropertyValue { property }, clause)
}

/// A property that the reader of this section does not know: it stands in the wrong packet.
pub(crate) const fn misplaced(property: Property) -> Flaw {
    Flaw::new(MalformedFault::PropertyNotAllowed { property }, clause::PROPERTY_SET)
}

impl<'a> Section<'a> {
    /// Opens the section that starts here with its length.
    pub(crate) fn open(reader: &mut Reader<'a>, place: Places) -> Result<Self, Flaw> {
        let length = reader.variable()?;
        let reader = reader.section(length as usize)?;
        Ok(Self { reader, place, users: Runs::Shared { from: 0, to: 0 } })
    }

    /// The next property, user properties excepted: those are collected on the way.
    pub(crate) fn next(&mut self) -> Result<Option<Property>, Flaw> {
        while !self.reader.is_at_end() {
            let start = self.reader.position();
            let property = self.identifier()?;
            if property != Property::UserProperty {
                return Ok(Some(property));
            }
            self.reader.skip_text()?;
            self.reader.skip_text()?;
            self.collect(start, self.reader.position());
        }
        Ok(None)
    }

    /// An identifier is a variable byte integer, though all known ones fit into one byte.
    fn identifier(&mut self) -> Result<Property, Flaw> {
        let id = self.reader.variable()?;
        let known = u8::try_from(id).ok().and_then(Property::from_id);
        let unknown = Flaw::new(MalformedFault::UnknownProperty { id }, clause::PROPERTY_SET);
        let property = known.ok_or(unknown)?;
        if property.places().contains(self.place) { Ok(property) } else { Err(misplaced(property)) }
    }

    fn collect(&mut self, start: usize, end: usize) {
        match &mut self.users {
            Runs::Shared { from, to } if from == to => self.users = Runs::Shared { from: start, to: end },
            Runs::Shared { to, .. } if *to == start => *to = end,
            Runs::Shared { from, to } => {
                let mut copied = BytesMut::from(self.reader.shared(*from, *to));
                copied.extend_from_slice(&self.reader.shared(start, end));
                self.users = Runs::Copied(copied);
            }
            Runs::Copied(copied) => copied.extend_from_slice(&self.reader.shared(start, end)),
        }
    }

    /// The user properties of the section, once it is read to its end.
    pub(crate) fn user_properties(self) -> UserProperties {
        UserProperties::from_checked_wire(match self.users {
            Runs::Shared { from, to } if from == to => Bytes::new(),
            Runs::Shared { from, to } => self.reader.shared(from, to),
            Runs::Copied(copied) => copied.freeze(),
        })
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Flaw> {
        self.reader.u16()
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Flaw> {
        self.reader.u32()
    }

    pub(crate) fn text(&mut self) -> Result<Text, Flaw> {
        self.reader.text()
    }

    pub(crate) fn binary(&mut self) -> Result<Bytes, Flaw> {
        self.reader.binary()
    }

    /// A byte that may only be 0 or 1.
    pub(crate) fn flag(&mut self, property: Property, clause: &'static Clause) -> Result<bool, Flaw> {
        match self.reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(bad_value(property, clause)),
        }
    }

    /// Two bytes that may not be 0.
    pub(crate) fn positive_u16(&mut self, property: Property, clause: &'static Clause) -> Result<u16, Flaw> {
        match self.u16()? {
            0 => Err(bad_value(property, clause)),
            value => Ok(value),
        }
    }

    /// Four bytes that may not be 0.
    pub(crate) fn positive_u32(&mut self, property: Property, clause: &'static Clause) -> Result<u32, Flaw> {
        match self.u32()? {
            0 => Err(bad_value(property, clause)),
            value => Ok(value),
        }
    }

    /// A variable byte integer that may not be 0.
    pub(crate) fn positive_variable(
        &mut self,
        property: Property,
        clause: &'static Clause,
    ) -> Result<u32, Flaw> {
        match self.reader.variable()? {
            0 => Err(bad_value(property, clause)),
            value => Ok(value),
        }
    }
}
