//! The reserved topics that exist. `P`: clients publish; `S`: clients subscribe; `D`: subscribe, and the service also
//! delivers to the requesting client without a subscription.

use super::{Family, ReservedTopic};

macro_rules! reserved {
    ($($family:ident { $($right:ident $pattern:literal,)* })*) => {
        /// The table of reserved topics. Source: developer guide, *Reserved topics*.
        pub static RESERVED_TOPICS: &[ReservedTopic] = &[$($(ReservedTopic {
            family: Family::$family,
            pattern: $pattern,
            publish: matches!(stringify!($right).as_bytes(), b"P" | b"PS"),
            subscribe: matches!(stringify!($right).as_bytes(), b"S" | b"PS" | b"D"),
            direct: matches!(stringify!($right).as_bytes(), b"D"),
        },)*)*];
    };
}

reserved! {
    Shadow {
        PS "$aws/things/{thing}/shadow/get",
        PS "$aws/things/{thing}/shadow/update",
        PS "$aws/things/{thing}/shadow/delete",
        S "$aws/things/{thing}/shadow/get/accepted",
        S "$aws/things/{thing}/shadow/get/rejected",
        S "$aws/things/{thing}/shadow/update/accepted",
        S "$aws/things/{thing}/shadow/update/rejected",
        S "$aws/things/{thing}/shadow/update/delta",
        S "$aws/things/{thing}/shadow/update/documents",
        S "$aws/things/{thing}/shadow/delete/accepted",
        S "$aws/things/{thing}/shadow/delete/rejected",
        PS "$aws/things/{thing}/shadow/name/{shadow}/get",
        PS "$aws/things/{thing}/shadow/name/{shadow}/update",
        PS "$aws/things/{thing}/shadow/name/{shadow}/delete",
        S "$aws/things/{thing}/shadow/name/{shadow}/get/accepted",
        S "$aws/things/{thing}/shadow/name/{shadow}/get/rejected",
        S "$aws/things/{thing}/shadow/name/{shadow}/update/accepted",
        S "$aws/things/{thing}/shadow/name/{shadow}/update/rejected",
        S "$aws/things/{thing}/shadow/name/{shadow}/update/delta",
        S "$aws/things/{thing}/shadow/name/{shadow}/update/documents",
        S "$aws/things/{thing}/shadow/name/{shadow}/delete/accepted",
        S "$aws/things/{thing}/shadow/name/{shadow}/delete/rejected",
    }
    Jobs {
        P "$aws/things/{thing}/jobs/get",
        D "$aws/things/{thing}/jobs/get/accepted",
        D "$aws/things/{thing}/jobs/get/rejected",
        P "$aws/things/{thing}/jobs/start-next",
        D "$aws/things/{thing}/jobs/start-next/accepted",
        D "$aws/things/{thing}/jobs/start-next/rejected",
        P "$aws/things/{thing}/jobs/{job}/get",
        D "$aws/things/{thing}/jobs/{job}/get/accepted",
        D "$aws/things/{thing}/jobs/{job}/get/rejected",
        P "$aws/things/{thing}/jobs/{job}/update",
        D "$aws/things/{thing}/jobs/{job}/update/accepted",
        D "$aws/things/{thing}/jobs/{job}/update/rejected",
        S "$aws/things/{thing}/jobs/notify",
        D "$aws/things/{thing}/jobs/notify-next",
        S "$aws/things/{thing}/jobs/{job}/notify-namespace-{ns}/",
    }
    Commands {
        S "$aws/commands/things/{thing}/executions/{execution}/request",
        S "$aws/commands/things/{thing}/executions/{execution}/request/{fmt}",
        P "$aws/commands/things/{thing}/executions/{execution}/response/{fmt}",
        D "$aws/commands/things/{thing}/executions/{execution}/response/accepted",
        D "$aws/commands/things/{thing}/executions/{execution}/response/accepted/{fmt}",
        D "$aws/commands/things/{thing}/executions/{execution}/response/rejected",
        D "$aws/commands/things/{thing}/executions/{execution}/response/rejected/{fmt}",
        S "$aws/commands/clients/{client}/executions/{execution}/request",
        S "$aws/commands/clients/{client}/executions/{execution}/request/{fmt}",
        P "$aws/commands/clients/{client}/executions/{execution}/response/{fmt}",
        D "$aws/commands/clients/{client}/executions/{execution}/response/accepted",
        D "$aws/commands/clients/{client}/executions/{execution}/response/accepted/{fmt}",
        D "$aws/commands/clients/{client}/executions/{execution}/response/rejected",
        D "$aws/commands/clients/{client}/executions/{execution}/response/rejected/{fmt}",
    }
    Streams {
        P "$aws/things/{thing}/streams/{stream}/get/{fmt}",
        P "$aws/things/{thing}/streams/{stream}/describe/{fmt}",
        D "$aws/things/{thing}/streams/{stream}/data/{fmt}",
        D "$aws/things/{thing}/streams/{stream}/description/{fmt}",
        D "$aws/things/{thing}/streams/{stream}/rejected/{fmt}",
    }
    Provisioning {
        P "$aws/certificates/create/{fmt}",
        D "$aws/certificates/create/{fmt}/accepted",
        D "$aws/certificates/create/{fmt}/rejected",
        P "$aws/certificates/create-from-csr/{fmt}",
        D "$aws/certificates/create-from-csr/{fmt}/accepted",
        D "$aws/certificates/create-from-csr/{fmt}/rejected",
        P "$aws/provisioning-templates/{template}/provision/{fmt}",
        D "$aws/provisioning-templates/{template}/provision/{fmt}/accepted",
        D "$aws/provisioning-templates/{template}/provision/{fmt}/rejected",
    }
    Defender {
        P "$aws/things/{thing}/defender/metrics/{fmt}",
        S "$aws/things/{thing}/defender/metrics/{fmt}/accepted",
        S "$aws/things/{thing}/defender/metrics/{fmt}/rejected",
    }
    Location {
        P "$aws/device_location/{device}/get_position_estimate",
        S "$aws/device_location/{device}/get_position_estimate/accepted",
        S "$aws/device_location/{device}/get_position_estimate/rejected",
    }
    BasicIngest {
        P "$aws/rules/{rule}",
        P "$aws/rules/{rule}/{rest}",
    }
    Tunnels {
        S "$aws/things/{thing}/tunnels/notify",
    }
    Events {
        S "$aws/events/presence/{rest}",
        S "$aws/events/subscriptions/{rest}",
        S "$aws/events/certificates/{rest}",
        S "$aws/events/job/{rest}",
        S "$aws/events/jobExecution/{rest}",
        S "$aws/events/commandExecution/{command}/{status}",
        S "$aws/events/thing/{rest}",
        S "$aws/events/thingGroup/{rest}",
        S "$aws/events/thingType/{rest}",
        S "$aws/events/thingTypeAssociation/{rest}",
        S "$aws/events/thingGroupMembership/{rest}",
        S "$aws/events/thingGroupHierarchy/{rest}",
    }
    SiteWise {
        S "$aws/sitewise/asset-models/{model}/assets/{asset}/properties/{property}",
    }
}
