//! DISCONNECT and AUTH in their shortest form (MQTT 5.0 sections 3.14.2.1 and 3.15.2.1).

use crate::encode::sink::Block;
use crate::encode::{Count, Sink};
use crate::packet::{Auth, Disconnect};
use crate::properties::Property;
use crate::reason::ReasonCode;
use crate::version::Version;

pub(crate) fn disconnect<S: Sink>(disconnect: &Disconnect, version: Version, out: &mut S) {
    let bare = is_empty(disconnect);
    if !version.is_v5() || (bare && disconnect.code == ReasonCode::Success) {
        return;
    }
    out.u8(disconnect.code.code());
    if !bare {
        out.section(disconnect);
    }
}

pub(crate) fn auth<S: Sink>(auth: &Auth, out: &mut S) {
    if is_empty(auth) && auth.code == ReasonCode::Success {
        return;
    }
    out.u8(auth.code.code());
    out.section(auth);
}

fn is_empty(block: &impl Block) -> bool {
    let mut count = Count::default();
    block.write(&mut count);
    count.bytes_written() == 0
}

impl Block for Disconnect {
    fn write<S: Sink>(&self, out: &mut S) {
        out.u32_property(Property::SessionExpiryInterval, self.session_expiry_interval);
        out.text_property(Property::ReasonString, self.reason_string.as_ref());
        out.user_properties(&self.user_properties);
        out.text_property(Property::ServerReference, self.server_reference.as_ref());
    }
}

impl Block for Auth {
    fn write<S: Sink>(&self, out: &mut S) {
        out.text_property(Property::AuthenticationMethod, self.authentication_method.as_ref());
        out.binary_property(Property::AuthenticationData, self.authentication_data.as_ref());
        out.text_property(Property::ReasonString, self.reason_string.as_ref());
        out.user_properties(&self.user_properties);
    }
}
