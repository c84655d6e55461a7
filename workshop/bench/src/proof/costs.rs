//! What docs/attackers.md says of costs: its table, found by the words of its head, when that was measured, and the bounds that
//! the page states.

/// The table, and what it is judged by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Costs {
    /// A line for each attack and number of honest clients.
    pub rows: Vec<Row>,
    pub bounds: Bounds,
    /// Date and commit, as far as the page tells them.
    pub measured: Option<(String, Option<String>)>,
}

/// What an attack cost, at its worst.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub attack: String,
    pub cases: f64,
    /// How many honest clients there were, and how many of their messages came back.
    pub honest: f64,
    pub messages: f64,
    /// Their median wait and their longest, milliseconds.
    pub median: f64,
    pub longest: f64,
    /// The same before the attack.
    pub median_before: f64,
    pub longest_before: f64,
    /// MiB.
    pub memory: f64,
    pub sockets: f64,
    /// Seconds.
    pub processor: f64,
}

/// What the page says that an attack may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    /// Milliseconds.
    pub median: f64,
    pub longest: f64,
    /// How much more than before the attack.
    pub median_later: f64,
    pub longest_later: f64,
    /// MiB in all, and KiB for each socket of the attacker beside.
    pub memory: f64,
    pub of_socket: f64,
    /// Seconds.
    pub processor: f64,
}

impl Bounds {
    /// What of a row is beyond its bounds.
    pub fn broken_by(&self, row: &Row) -> Vec<String> {
        let memory = self.memory + row.sockets * self.of_socket / 1_024.0;
        let found = [
            (row.median, self.median, "ms in the median"),
            (row.longest, self.longest, "ms at the longest"),
            (row.median - row.median_before, self.median_later, "ms later in the median"),
            (row.longest - row.longest_before, self.longest_later, "ms later at the longest"),
            (row.memory, memory, "MiB"),
            (row.processor, self.processor, "s of processor time"),
        ];
        let beyond = found.iter().filter(|(value, bound, _)| value > bound);
        let mut broken: Vec<String> =
            beyond.map(|(value, _, unit)| format!("{}: {value:.1} {unit}", row.attack)).collect();
        if row.messages <= 0.0 {
            broken.push(format!("{}: no message of an honest client", row.attack));
        }
        broken
    }
}

/// Reads a page. `None`: it has no table of costs.
///
/// # Errors
/// What of the table or of the bounds cannot be read.
pub(super) fn read(page: &str) -> Option<Result<Costs, String>> {
    let mut lines = page.lines().map(cells).skip_while(|cells| !is_head(cells));
    let head = lines.next()?;
    let rows = lines.skip(1).take_while(|cells| !cells.is_empty());
    Some(judged(page, &head, &rows.collect::<Vec<_>>()))
}

fn judged(page: &str, head: &[String], rows: &[Vec<String>]) -> Result<Costs, String> {
    let places = places(head)?;
    let rows = rows.iter().map(|cells| row(&places, cells)).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err("the table of costs has no row".to_owned());
    }
    // However its lines are broken.
    let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Costs { rows, bounds: bounds(&text)?, measured: measured(&text) })
}

/// The cells of a line of a table; none of any other line.
fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line.trim().strip_prefix('|') else { return Vec::new() };
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn is_head(cells: &[String]) -> bool {
    let has = |word: &str| cells.iter().any(|cell| cell == word);
    has("attack") && has("cases")
}

/// The columns, by the words of the head as `tests/blackbox/attacks.py` writes it; `attack` is the first.
const COLUMNS: [&str; 10] = [
    "cases",
    "honest clients",
    "their messages",
    "median, ms",
    "median before, ms",
    "before",
    "beside",
    "memory, MiB",
    "sockets",
    "processor, s",
];

fn places(head: &[String]) -> Result<[usize; 10], String> {
    let mut places = [0; 10];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = head.iter().position(|cell| cell == column);
        *place = found.ok_or_else(|| format!("the table of costs has no column {column:?}"))?;
    }
    Ok(places)
}

fn row(places: &[usize; 10], cells: &[String]) -> Result<Row, String> {
    let attack = cells.first().cloned().unwrap_or_default();
    let mut numbers = [0.0; 10];
    for (number, place) in numbers.iter_mut().zip(places) {
        let cell = cells.get(*place).map(String::as_str).unwrap_or_default();
        let read = cell.parse::<f64>().ok().filter(|number| number.is_finite());
        *number = read.ok_or_else(|| format!("{attack}: {cell:?} is no number"))?;
    }
    let [cases, honest, messages, median, median_before, longest_before, longest, memory, sockets, processor] =
        numbers;
    Ok(Row {
        attack,
        cases,
        honest,
        messages,
        median,
        longest,
        median_before,
        longest_before,
        memory,
        sockets,
        processor,
    })
}

/// The bounds: of waits between "half of" and "resident memory", of the rest behind that.
fn bounds(text: &str) -> Result<Bounds, String> {
    let missing = |what: &str| format!("the page states no bound for {what}");
    let parts = text.split_once("half of").and_then(|(_, rest)| rest.split_once("resident memory"));
    let (waits, rest) = parts.ok_or_else(|| missing("waits"))?;
    let milliseconds = amounts(waits).filter_map(|(number, unit)| match unit {
        "s" => Some(number * 1_000.0),
        "ms" => Some(number),
        _ => None,
    });
    // Half and all; then the same for how much longer than before.
    let [median, longest, median_later, longest_later] = milliseconds.collect::<Vec<_>>()[..] else {
        return Err(missing("half of the waits and for all"));
    };
    let first = |unit: &str| amounts(rest).find(|(_, of)| *of == unit).map(|(number, _)| number);
    let processor = rest.split_once(" s of processor time").and_then(|(before, _)| before.rsplit(' ').next());
    let processor = processor.and_then(|number| number.parse().ok());
    Ok(Bounds {
        median,
        longest,
        median_later,
        longest_later,
        memory: first("MiB").ok_or_else(|| missing("memory"))?,
        of_socket: first("KiB").ok_or_else(|| missing("the memory of a socket"))?,
        processor: processor.ok_or_else(|| missing("processor time"))?,
    })
}

/// Numbers with the word that follows each.
fn amounts(text: &str) -> impl Iterator<Item = (f64, &str)> {
    let units = text.split_whitespace().skip(1).map(|word| word.trim_end_matches([',', ';', '.', ')']));
    text.split_whitespace().zip(units).filter_map(|(number, unit)| Some((number.parse().ok()?, unit)))
}

/// "Measured on DATE at commit HASH.", or without the commit.
fn measured(text: &str) -> Option<(String, Option<String>)> {
    let (_, rest) = text.split_once("Measured on ")?;
    let date: String =
        rest.chars().take_while(|one| one.is_ascii_digit() || "-:+TZ".contains(*one)).collect();
    let commit = rest.strip_prefix(&date)?.strip_prefix(" at commit ");
    let commit = commit.map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>());
    (date.len() >= 10).then(|| (date, commit.filter(|hash| hash.len() >= 7)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A page with these bounds, and a table with this head and these rows.
    pub(crate) fn page(head: &str, rows: &[&str]) -> String {
        let rule = "no honest client meets an error; half of their messages are back within 1 s and all of them\nwithin 8 s, and \
                    not more than 0.2 s and 4 s later than before (a busy machine); resident memory grows by at most 64 MiB and 24 KiB for each\nsocket; 60 s of processor time.";
        let lines: String = rows.iter().map(|row| format!("| {row} |\n")).collect();
        format!(
            "{rule}\n\n| attack | what |\n|---|---|\n| a | b |\n\nMeasured on 2026-01-02 at commit\n0123456789.\n\n\
             | {head} |\n|---|\n{lines}\nEnd\n| no | 1 |\n"
        )
    }

    pub(crate) const HEAD: &str = "attack | cases | honest clients | their messages | median, ms | median before, ms | before | beside | memory, MiB | sockets | processor, s";

    #[test]
    fn the_table_of_costs_is_found_and_no_other() {
        let costs =
            read(&page(HEAD, &["x y | 6 | 9 | 270 | 0.2 | 0.1 | 1.5 | 1.8 | 3 | 1 | 0.5"])).unwrap().unwrap();
        let row = Row {
            attack: "x y".into(),
            cases: 6.0,
            honest: 9.0,
            messages: 270.0,
            median: 0.2,
            longest: 1.8,
            median_before: 0.1,
            longest_before: 1.5,
            memory: 3.0,
            sockets: 1.0,
            processor: 0.5,
        };
        assert_eq!(costs.rows, [row]);
        let bounds = Bounds {
            median: 1_000.0,
            longest: 8_000.0,
            median_later: 200.0,
            longest_later: 4_000.0,
            memory: 64.0,
            of_socket: 24.0,
            processor: 60.0,
        };
        assert_eq!(costs.bounds, bounds);
        assert_eq!(costs.measured, Some(("2026-01-02".into(), Some("0123456789".into()))));
        assert_eq!(read(""), None);
        assert_eq!(read("| attack | what |\n|---|---|\n| a | b |\n"), None);
    }

    #[test]
    fn columns_go_by_their_names() {
        let head = HEAD.replace("cases | honest clients", "honest clients | cases");
        let costs = read(&page(&head, &["a | 1 | 9 | 20 | 0.2 | 0.1 | 4 | 5 | 6 | 7 | 8"])).unwrap().unwrap();
        assert_eq!((costs.rows[0].honest, costs.rows[0].cases), (1.0, 9.0));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let told = |page: &str| read(page).unwrap().unwrap_err();
        let row = "a | 1 | 9 | 20 | 0.2 | 0.1 | 1.5 | 1.8 | 0 | 1 | 0.0";
        assert!(told(&page(HEAD, &[&row.replace("1.8", "?")])).contains("a: \"?\" is no number"));
        assert!(told(&page(HEAD, &["a | 1 | 9"])).contains("a: \"\" is no number"));
        assert!(told(&page(HEAD, &[])).contains("no row"));
        assert!(told(&page(&HEAD.replace("beside", "b"), &[row])).contains("\"beside\""));
        assert!(told(&page(&HEAD.replace("memory", "m"), &[row])).contains("\"memory, MiB\""));
        let changed = |from: &str, to: &str| told(&page(HEAD, &[row]).replace(from, to));
        assert!(changed("within 8 s", "soon").contains("no bound for half of the waits and for all"));
        assert!(changed("half of", "most").contains("no bound for waits"));
        assert!(changed("64 MiB", "little").contains("no bound for memory"));
        assert!(changed("24 KiB", "little").contains("no bound for the memory of a socket"));
        assert!(changed("60 s of", "little").contains("no bound for processor time"));
    }

    #[test]
    fn each_bound_is_held() {
        let broken = |row: &str| {
            let costs = read(&page(HEAD, &[row])).unwrap().unwrap();
            costs.bounds.broken_by(&costs.rows[0])
        };
        assert!(broken("a | 1 | 9 | 20 | 1000 | 800 | 4000 | 8000 | 88 | 1024 | 60").is_empty());
        for (row, what) in [
            ("1001 | 900 | 0 | 1 | 0 | 1 | 0", "1001.0 ms in the median"),
            ("301 | 100 | 0 | 1 | 0 | 1 | 0", "201.0 ms later in the median"),
            ("1 | 1 | 8000 | 8001 | 0 | 1 | 0", "8001.0 ms at the longest"),
            ("1 | 1 | 0 | 4001 | 0 | 1 | 0", "4001.0 ms later at the longest"),
            ("1 | 1 | 1 | 1 | 89 | 1024 | 0", "89.0 MiB"),
            ("1 | 1 | 1 | 1 | 0 | 1 | 61", "61.0 s of processor time"),
        ] {
            assert_eq!(broken(&format!("a | 1 | 9 | 20 | {row}")), [format!("a: {what}")]);
        }
        assert_eq!(
            broken("a | 1 | 9 | 0 | 1 | 1 | 1 | 1 | 0 | 1 | 0"),
            ["a: no message of an honest client"]
        );
    }

    #[test]
    fn nothing_is_made_up_of_when_it_was_measured() {
        let told = |text: &str| {
            measured(text).map(|(date, commit)| format!("{date} {}", commit.unwrap_or_default()))
        };
        let whole = "x. <!-- Measured on 2026-01-02T03:04:05Z at commit 0123abc --> y";
        assert_eq!(told(whole).as_deref(), Some("2026-01-02T03:04:05Z 0123abc"));
        assert_eq!(told("Measured on 2026-01-02. x").as_deref(), Some("2026-01-02 "));
        assert_eq!(told("Measured on 2026-01-02 at commit HASH.").as_deref(), Some("2026-01-02 "));
        assert_eq!(told("Measured on a busy machine at commit 0123abc."), None);
        assert_eq!(told("2026-01-02 at commit 0123abc"), None);
    }
}
