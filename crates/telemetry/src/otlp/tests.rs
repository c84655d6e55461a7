//! What goes over the wire, and what a collector that is away costs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use dialect::Metric;
use events::{Event, Level, Observer, Stopping};
use serde_json::json;

use super::*;
use crate::{Format, LogObserver, LogSettings};

const AT: Timestamp = Timestamp(1_700_000_000_123);

fn settings(endpoint: &str) -> OtlpSettings {
    OtlpSettings {
        endpoint: endpoint.to_owned(),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        headers: vec![("x-key".into(), "hush".into())],
        resource: vec![("service.name".into(), "thingcore".into())],
        trusted: None,
    }
}

#[test]
fn every_metric_of_the_page_is_exported_under_its_name() {
    let metrics = MetricsObserver::new();
    metrics.watch_gauge("thingcore_sessions", "Sessions", || 42);
    metrics.watch_counters("thingcore_units", "Units", "item", || vec![("a", 1), ("b", 2)]);
    let page = metrics.render();
    let body = encode::metrics(&metrics.samples(), &settings("http://c").resource, (Timestamp(1), AT));
    let list = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let mut lines = 0;
    for metric in list {
        let name = metric["name"].as_str().unwrap();
        let (points, ending) = match metric.get("sum") {
            Some(sum) => (&sum["dataPoints"], "_total"),
            None => (&metric["gauge"]["dataPoints"], ""),
        };
        for point in points.as_array().unwrap() {
            let labels = point["attributes"].as_array().into_iter().flatten();
            let labels = labels.map(|label| {
                format!(
                    "{{{}=\"{}\"}}",
                    label["key"].as_str().unwrap(),
                    label["value"]["stringValue"].as_str().unwrap()
                )
            });
            let line =
                format!("{name}{ending}{} {}", labels.collect::<String>(), point["asInt"].as_str().unwrap());
            assert!(page.lines().any(|there| there == line), "{line} is not on the page");
            lines += 1;
        }
    }
    assert_eq!(page.lines().filter(|line| !line.starts_with('#')).count(), lines);
}

#[test]
fn counters_are_cumulative_sums_and_the_rest_gauges() {
    let metrics = MetricsObserver::new();
    let body = encode::metrics(&metrics.samples(), &settings("http://c").resource, (Timestamp(1), AT));
    let resource = &body["resourceMetrics"][0];
    assert_eq!(
        resource["resource"],
        json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "thingcore" } }] })
    );
    let list = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let named = |name: &str| list.iter().find(|metric| metric["name"] == name).unwrap();
    let points = ["MQTT", "HTTP"].map(|protocol| {
        json!({
            "startTimeUnixNano": "1000000",
            "timeUnixNano": "1700000000123000000",
            "asInt": "0",
            "attributes": [{ "key": "protocol", "value": { "stringValue": protocol } }],
        })
    });
    assert_eq!(
        named(&Metric::ConnectSuccess.prometheus_name())["sum"],
        json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points })
    );
    let gauge = named("thingcore_connections");
    assert_eq!(
        gauge["gauge"]["dataPoints"],
        json!([{ "timeUnixNano": "1700000000123000000", "asInt": "0" }])
    );
    assert_eq!(named("thingcore_publish_in_bytes")["unit"], "By");
}

#[test]
fn a_log_entry_keeps_the_names_of_aws() {
    let line = json!({
        "timestamp": "2023-11-14 22:13:20.123", "logLevel": "WARN", "eventType": "Disconnect", "details": "it ended",
        "sourcePort": 7, "subscriptions": [{ "topicName": "a", "reasonCode": 135 }],
    });
    let body = encode::logs(&[(AT, line.to_string() + "\n"), (AT, "no json\n".into())], &[]);
    let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
    let first = &records[0];
    assert_eq!((&first["severityNumber"], &first["severityText"]), (&json!(13), &json!("WARN")));
    assert_eq!(first["body"], json!({ "stringValue": "it ended" }));
    let attributes = first["attributes"].as_array().unwrap();
    let value = |name: &str| &attributes.iter().find(|pair| pair["key"] == name).unwrap()["value"];
    assert_eq!(value("eventType"), &json!({ "stringValue": "Disconnect" }));
    assert_eq!(value("sourcePort"), &json!({ "intValue": "7" }));
    let inner = &value("subscriptions")["arrayValue"]["values"][0]["kvlistValue"]["values"];
    assert_eq!(inner.as_array().unwrap().len(), 2);
    assert_eq!(records[1]["body"], json!({ "stringValue": "no json" }));
}

#[test]
fn the_queue_is_bounded_by_entries_and_by_bytes() {
    let records = LogRecords::new();
    (0..MOST_RECORDS + 3).for_each(|_| records.push(AT, "x".into()));
    assert_eq!(records.dropped(), 3);
    let mut taken = Vec::new();
    records.take(usize::MAX, &mut taken);
    assert_eq!(taken.len(), MOST_RECORDS);
    let long = "x".repeat(MOST_RECORD_BYTES / 2);
    (0..3).for_each(|_| records.push(AT, long.clone()));
    assert_eq!(records.dropped(), 4);
    records.take(1, &mut taken);
    records.push(AT, long);
    assert_eq!(records.dropped(), 4, "what was taken makes room");
}

#[test]
fn whatever_the_log_writes_is_exported_too() {
    for format in [Format::Json, Format::Human { colour: false }] {
        let records = LogRecords::new();
        let settings = LogSettings { format, export: Some(records.clone()), ..LogSettings::default() };
        let (log, thread) = LogObserver::start(settings, Box::new(io::sink())).unwrap();
        log.observe(AT, &Event::Stopping(Stopping {}));
        let quiet = events::RetainedDeleted { topic: "t" };
        assert!(Event::from(quiet).kind().level() < Level::Info);
        log.observe(AT, &quiet.into());
        thread.finish();
        let mut taken = Vec::new();
        records.take(usize::MAX, &mut taken);
        assert_eq!(taken.len(), 1, "{taken:?}");
        assert!(taken[0].1.contains("broker.stopping"), "{taken:?}");
    }
}

/// Answers one request after the other with these statuses, the last one for ever; tells what came.
fn collector(listener: TcpListener, statuses: Vec<u16>) -> Receiver<(String, Value)> {
    let (send, came) = channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.into_iter().peekable();
        let mut status = 200;
        for socket in listener.incoming() {
            status = statuses.next().unwrap_or(status);
            let Some(request) = request(socket.unwrap(), status) else { continue };
            if send.send(request).is_err() {
                return;
            }
        }
    });
    came
}

fn request(mut socket: TcpStream, status: u16) -> Option<(String, Value)> {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    let whole = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
        (body.len() >= length).then(|| (head.to_owned(), serde_json::from_str(body).unwrap()))
    };
    while whole(&text).is_none() {
        match socket.read(&mut piece) {
            Ok(count) if count > 0 => text.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    socket.write_all(answer.as_bytes()).unwrap();
    whole(&text)
}

#[test]
fn a_collector_gets_metrics_and_what_waited_while_it_was_away() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/base/", listener.local_addr().unwrap());
    let (metrics, records) = (MetricsObserver::new(), LogRecords::new());
    records.push(AT, r#"{"details":"waited"}"#.into());
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let told = Arc::clone(&told);
        move |news| told.lock().unwrap().push(news)
    };
    // Both signals are told to come again later.
    let came = collector(listener, vec![503, 503, 200]);
    let thread =
        OtlpThread::start(&settings(&endpoint), metrics.clone(), Some(records.clone()), tell).unwrap();
    let mut logs = 0;
    while logs < 2 {
        let (head, body) = came.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(head.contains("x-key: hush") && head.contains("content-type: application/json"), "{head}");
        if head.starts_with("POST /base/v1/logs ") {
            logs += 1;
            let record = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
            assert_eq!(record["body"]["stringValue"], "waited");
        } else {
            assert!(
                head.starts_with("POST /base/v1/metrics ") && body["resourceMetrics"].is_array(),
                "{head}"
            );
        }
    }
    thread.finish();
    assert_eq!(records.dropped(), 0);
    let told = told.lock().unwrap();
    assert!(
        matches!(&told[..], [ExportNews::Failed(why), ExportNews::Resumed] if why.contains("503")),
        "{told:?}"
    );
    let page = metrics.render();
    assert!(page.contains("thingcore_otlp_failures_total 2\n"), "{page}");
}

#[test]
fn what_a_collector_refuses_is_counted_and_not_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let records = LogRecords::new();
    (0..3).for_each(|_| records.push(AT, "{}".into()));
    let came = collector(listener, vec![400]);
    let thread =
        OtlpThread::start(&settings(&endpoint), MetricsObserver::new(), Some(records.clone()), |_| {})
            .unwrap();
    while !came.recv_timeout(Duration::from_secs(20)).unwrap().0.starts_with("POST /v1/logs ") {}
    thread.finish();
    assert_eq!(records.dropped(), 3);
}

#[test]
fn nobody_there_costs_a_count_and_one_word() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (told, heard) = channel();
    let (metrics, records) = (MetricsObserver::new(), LogRecords::new());
    let tell = move |news| drop(told.send(news));
    let thread =
        OtlpThread::start(&settings(&endpoint), metrics.clone(), Some(records.clone()), tell).unwrap();
    assert!(matches!(heard.recv_timeout(Duration::from_secs(20)), Ok(ExportNews::Failed(_))));
    assert!(metrics.render().contains("thingcore_otlp_exports_total 0\n"));
    thread.finish();
    assert!(heard.try_recv().is_err(), "told once");
}
