//! How the peers are set up: clients without names and passwords, QoS 1 windows of 8 192 as thingcore has them without quotas, no limit to queues
//! where a broker has one, nothing kept on disk that need not be. Everything else is their default.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Broker, Make};
use crate::prepared::Prepared;

/// Where a peer is set up.
pub struct Place<'a> {
    /// Its own folder.
    pub folder: &'a Path,
    /// Where it shall listen.
    pub port: u16,
    /// With mutual TLS, and whose certificates.
    pub tls: Option<&'a Prepared>,
}

/// Writes a peer's settings into its folder, and gives the command that starts it.
///
/// # Errors
/// The folder cannot be written.
pub fn command(broker: &Broker, place: &Place<'_>) -> io::Result<Command> {
    let text = match broker.make {
        Make::Mosquitto | Make::Mosquitto2 => mosquitto(place),
        Make::Nats => nats(place),
        Make::Rumqttd => rumqttd(place),
        Make::Flashmq => flashmq(place),
        Make::Rmqtt => rmqtt(place),
        Make::Thingcore | Make::Configured => String::new(),
    };
    let name = if broker.make == Make::Rumqttd || broker.make == Make::Rmqtt {
        "settings.toml"
    } else {
        "settings.conf"
    };
    let settings = place.folder.join(name);
    fs::write(&settings, text)?;
    let mut command = Command::new(&broker.path);
    let flag = match broker.make {
        Make::Flashmq => "--config-file",
        Make::Rmqtt => "-f",
        _ => "-c",
    };
    command.arg(flag).arg(settings);
    Ok(command)
}

/// Persistence is off, as it is for clean sessions in thingcore; that it lets TCP wait to fill segments, its default,
/// serves its throughput.
fn mosquitto(place: &Place<'_>) -> String {
    let mut text = format!("listener {} 127.0.0.1\n", place.port);
    if let Some(tls) = place.tls {
        text += &format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
            tls.ca().display(),
            tls.server_certificate().display(),
            tls.server_key().display()
        );
    }
    // Started by root it would drop its rights, and then not read the key.
    text + "user root\nallow_anonymous true\npersistence false\nmax_inflight_messages 8192\nmax_queued_messages 0\n"
}

/// MQTT needs JetStream there, for sessions and retained messages.
fn nats(place: &Place<'_>) -> String {
    let tls = place.tls.map_or_else(String::new, |tls| {
        format!(
            "  tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\n",
            tls.server_certificate().display(),
            tls.server_key().display(),
            tls.ca().display()
        )
    });
    format!(
        "server_name: bench\nlisten: \"127.0.0.1:-1\"\njetstream {{ store_dir: \"{}\" }}\n\
         mqtt {{\n  listen: \"127.0.0.1:{}\"\n  max_ack_pending: 8192\n{tls}}}\n",
        place.folder.join("store").display(),
        place.port
    )
}

fn rumqttd(place: &Place<'_>) -> String {
    let tls = place.tls.map_or_else(String::new, |tls| {
        format!(
            "[v4.1.tls]\ncapath = \"{}\"\ncertpath = \"{}\"\nkeypath = \"{}\"\n",
            tls.ca().display(),
            tls.server_certificate().display(),
            tls.server_key().display()
        )
    });
    format!(
        "id = 0\n[router]\nid = 0\nmax_connections = 100010\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 10\n\
         [v4.1]\nname = \"v4-1\"\nlisten = \"127.0.0.1:{}\"\nnext_connection_delay_ms = 0\n{tls}\
         [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 262144\nmax_inflight_count = 8192\n\
         dynamic_filters = true\n",
        place.port
    )
}

/// No plugins: it needs none for what is measured. Its queues' rate limit, a thousand messages a second, is lifted.
fn rmqtt(place: &Place<'_>) -> String {
    let (kind, tls) = place.tls.map_or_else(
        || ("tcp", String::new()),
        |tls| {
            let files = format!(
                "cross_certificate = true\ncert = \"{}\"\nkey = \"{}\"\nclient_ca_certs = \"{}\"\n",
                tls.server_certificate().display(),
                tls.server_key().display(),
                tls.ca().display()
            );
            ("tls", files)
        },
    );
    format!(
        "node.id = 1\nnode.busy.check_enable = false\nrpc.server_addr = \"127.0.0.1:0\"\nlog.to = \"console\"\n\
         log.level = \"warn\"\nplugins.dir = \"{}/\"\nplugins.default_startups = []\n\
         [listener.{kind}.bench]\naddr = \"127.0.0.1:{}\"\nallow_anonymous = true\nmax_connections = 1024000\n\
         max_inflight = 8192\nmax_mqueue_len = 1000000\nmqueue_rate_limit = \"1000000,1s\"\nmax_packet_size = \"1MB\"\n{tls}",
        place.folder.display(),
        place.port
    )
}

fn flashmq(place: &Place<'_>) -> String {
    let tls = place.tls.map_or_else(String::new, |tls| {
        format!(
            "  fullchain {}\n  privkey {}\n  client_verification_ca_file {}\n  client_verification_still_do_authn true\n",
            tls.server_certificate().display(),
            tls.server_key().display(),
            tls.ca().display()
        )
    });
    format!(
        "allow_anonymous true\nlog_level warning\nmax_qos_msg_pending_per_client 65000\n\
         max_qos_bytes_pending_per_client 1073741824\nrlimit_nofile 20000\n\
         listen {{\n  protocol mqtt\n  port {}\n  inet_protocol ip4\n  inet4_bind_address 127.0.0.1\n{tls}}}\n",
        place.port
    )
}
