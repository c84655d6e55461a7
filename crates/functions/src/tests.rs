//! Commands and endpoints that answer, fail, are slow, or say too much.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";
const SECOND: Duration = Duration::from_secs(1);
/// For what is expected to end by itself, on a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

fn shell(script: &str) -> ConfiguredFunctions {
    let words = ["sh", "-c", script].map(str::to_owned);
    ConfiguredFunctions::new(None, [(ARN.to_owned(), Place::command(&words).unwrap())])
}

async fn invoke(functions: &ConfiguredFunctions, limit: Duration) -> Result<Bytes, FunctionFailed> {
    functions.invoke(ARN, Bytes::from_static(b"{\"x\":1}"), limit, Line::Entry).await
}

#[tokio::test]
async fn a_command_gets_the_event_and_gives_the_answer() {
    assert_eq!(invoke(&shell("cat"), LONG).await, Ok(Bytes::from_static(b"{\"x\":1}")));
    assert_eq!(invoke(&shell("echo ignorant"), LONG).await, Ok(Bytes::from_static(b"ignorant\n")));
}

#[tokio::test]
async fn a_command_that_fails_says_so_by_its_last_line() {
    let failed = invoke(&shell("echo one >&2; echo two >&2; echo >&2; exit 3"), LONG).await.unwrap_err();
    assert_eq!(failed, FunctionFailed::FunctionError("two: sh ended with exit status: 3".into()));
    let words = ["/no/such/program".to_owned()];
    let missing = ConfiguredFunctions::new(None, [(ARN.to_owned(), Place::command(&words).unwrap())]);
    assert!(matches!(invoke(&missing, LONG).await, Err(FunctionFailed::Refused(_))));
    assert_eq!(Place::command(&[]), None);
}

#[tokio::test]
async fn a_command_is_killed_at_its_limit_with_all_that_it_started() {
    let file = notes("group");
    // The shell starts a process of its own, and both tell their ids before they wait.
    let script = format!("sleep 600 & echo $$ $! > {}; wait", file.display());
    assert_eq!(invoke(&shell(&script), 2 * SECOND).await, Err(FunctionFailed::TimedOut));
    all_gone(&file, 2).await;
}

#[tokio::test]
async fn a_command_that_says_no_more_is_killed_at_its_limit_too() {
    let file = notes("silent");
    let script = format!("sleep 600 >&- 2>&- & echo $$ $! > {}; exec >&- 2>&-; wait", file.display());
    assert_eq!(invoke(&shell(&script), 2 * SECOND).await, Err(FunctionFailed::TimedOut));
    all_gone(&file, 2).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let file = notes("behind");
    let script = format!("sleep 600 >&- 2>&- & echo $! > {}; echo answer", file.display());
    assert_eq!(invoke(&shell(&script), LONG).await, Ok(Bytes::from_static(b"answer\n")));
    all_gone(&file, 1).await;
    let script = format!("sleep 600 >&- 2>&- & echo $! > {}; exit 3", file.display());
    let failed = invoke(&shell(&script), LONG).await;
    assert!(
        matches!(&failed, Err(FunctionFailed::FunctionError(why)) if why.contains("exit status: 3")),
        "{failed:?}"
    );
    all_gone(&file, 1).await;
}

/// Where a command writes the ids of its processes.
fn notes(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("thingcore-functions-{}-{name}", std::process::id()))
}

/// Waits until none of the processes runs whose ids stand in the file.
async fn all_gone(file: &std::path::Path, count: usize) {
    let ids = std::fs::read_to_string(file).unwrap();
    assert_eq!(ids.split_whitespace().count(), count, "{ids}");
    for id in ids.split_whitespace() {
        let gone = async {
            while is_running(id) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, gone).await.expect("it was killed");
    }
    std::fs::remove_file(file).unwrap();
}

/// A zombie does not run; whoever adopted it waits for it some time.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[tokio::test]
async fn a_command_that_talks_without_end_is_stopped() {
    assert_eq!(invoke(&shell("yes"), LONG).await, Err(FunctionFailed::TooLarge));
    assert_eq!(invoke(&shell("yes >&2"), SECOND).await, Err(FunctionFailed::TimedOut));
}

#[tokio::test]
async fn no_place_is_not_configured() {
    let nowhere = ConfiguredFunctions::new(None, []);
    assert_eq!(invoke(&nowhere, SECOND).await, Err(FunctionFailed::NotConfigured));
}

#[tokio::test]
async fn a_line_that_is_full_holds_up_no_other() {
    const LINES: [(Line, usize); 4] = [
        (Line::Entry, IN_FLIGHT),
        (Line::Proven, PROVEN_IN_FLIGHT),
        (Line::Renewal, RENEWALS_IN_FLIGHT),
        (Line::Test, TESTS_IN_FLIGHT),
    ];
    let functions = &shell("cat");
    let ask = |line, limit| functions.invoke(ARN, Bytes::from_static(b"x"), limit, line);
    for (full, places) in LINES {
        let _all = functions.hall(full).all(places).await;
        let waited = ask(full, Duration::from_millis(20)).await;
        assert_eq!(waited, Err(FunctionFailed::Busy { places }), "{full:?}");
        for (line, _) in LINES.into_iter().filter(|(line, _)| *line != full) {
            assert_eq!(ask(line, LONG).await, Ok(Bytes::from_static(b"x")), "{line:?} behind {full:?}");
        }
    }
}

/// A server that answers one request with these bytes; gives its URL, and what it was asked.
async fn answering(response: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"x\":1}") {
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk).await.unwrap();
            assert!(count > 0, "the request broke off");
            request.extend_from_slice(&chunk[..count]);
        }
        let _ = stream.write_all(&response).await;
        String::from_utf8(request).unwrap()
    });
    (url, served)
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn by_default(url: &str) -> ConfiguredFunctions {
    ConfiguredFunctions::new(Some(Endpoint::parse(url).unwrap()), [])
}

#[tokio::test]
async fn an_endpoint_speaks_lambdas_api() {
    let (url, served) = answering(response("200 OK", "answer")).await;
    assert_eq!(invoke(&by_default(&url), LONG).await, Ok(Bytes::from_static(b"answer")));
    let request = served.await.unwrap();
    let name = ARN.replace(':', "%3A");
    assert!(
        request.starts_with(&format!("POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\n")),
        "{request}"
    );
    assert!(request.contains("host: 127.0.0.1:"), "{request}");
}

#[tokio::test]
async fn a_place_of_its_own_is_posted_to_as_it_stands() {
    let (url, served) = answering(response("200 OK", "{}")).await;
    let endpoint = Endpoint::parse(&format!("{url}/own?x=1")).unwrap();
    let functions = ConfiguredFunctions::new(None, [(ARN.to_owned(), Place::Url(endpoint))]);
    assert_eq!(invoke(&functions, LONG).await, Ok(Bytes::from_static(b"{}")));
    assert!(served.await.unwrap().starts_with("POST /own?x=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn an_endpoint_that_fails_is_told_apart() {
    let body = r#"{"errorMessage":"m","errorType":"T"}"#;
    let (url, _served) = answering(response("200 OK\r\nX-Amz-Function-Error: Unhandled", body)).await;
    assert_eq!(invoke(&by_default(&url), LONG).await, Err(FunctionFailed::FunctionError("m: T".into())));
    let (url, _served) = answering(response("404 Not Found", "no such function")).await;
    let refused = invoke(&by_default(&url), LONG).await.unwrap_err().to_string();
    assert!(refused.contains("404") && refused.contains("no such function"), "{refused}");
    let (url, _served) = answering(response("200 OK", &"x".repeat(ANSWER_MAX + 1))).await;
    assert_eq!(invoke(&by_default(&url), LONG).await, Err(FunctionFailed::TooLarge));
    let (url, _served) = answering(b"nonsense".to_vec()).await;
    assert!(matches!(invoke(&by_default(&url), LONG).await, Err(FunctionFailed::Refused(_))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = by_default(&format!("http://{}", listener.local_addr().unwrap()));
    assert_eq!(invoke(&silent, Duration::from_millis(100)).await, Err(FunctionFailed::TimedOut));
    drop(listener);
    assert!(matches!(invoke(&silent, LONG).await, Err(FunctionFailed::Refused(_))));
}
