//! The page of metering: what is billed, from the table, and the shipped prices.

use metering::{
    Billed, Dimension, FREE_PACKETS, HEAVY_LEAST, HEAVY_PART, Item, MOST_KEPT, Prices, REGISTRY_OPERATIONS,
    Row, Switches,
};

use super::pages::{self, code, table};

/// `metering.md`
pub(super) fn page() -> String {
    let mut out = pages::page(
        "Metering",
        "What AWS bills and what it does not, by kind of event. Sizes are bytes of what stands in the packet, not of\n\
         the packet itself. *switch* – nobody outside AWS knows: `[metering]` in the configuration, or `--set NAME=on|off`\n\
         of `thingcore bill`, decides; the default is in brackets. *pending* – nothing in this broker tells of it yet.",
    );
    let heads =
        ["Item", "What", "Dimension", "Billed", "Bytes that count", "Units", "Source", "Evidence", "State"];
    table(&mut out, &heads, Item::ALL.iter().map(|item| cells(&item.row())));
    out.push_str(&format!("Free, and not counted: {FREE_PACKETS}.\n\n"));
    out.push_str(&format!(
        "Operations of the registry that are billed: {}.\n\n",
        REGISTRY_OPERATIONS.join(", ")
    ));
    out.push_str(&text());
    for region in Prices::regions() {
        prices(&mut out, region);
    }
    out
}

fn cells(row: &Row) -> Vec<String> {
    let billed = match row.billed {
        Billed::Yes => "yes".to_owned(),
        Billed::Free => "no".to_owned(),
        Billed::Switch(default) => format!("switch ({})", if default { "on" } else { "off" }),
    };
    vec![
        code(row.name),
        row.what.into(),
        row.dimension.name().into(),
        billed,
        row.size.into(),
        row.step.to_string(),
        row.source.into(),
        row.evidence.to_string(),
        if row.metered { "metered" } else { "pending" }.into(),
    ]
}

fn text() -> String {
    format!(
        "## Open points\n\n\
         The switches are {}, and `kilobyte`: 1024 (the default) or 1000 bytes in a KB. `kilobyte` decides when something\n\
         is counted; counters of the other one are put aside at the start. All others decide when a bill is made.\n\n\
         ## How exact it is\n\n\
         * Units are exact, for everybody with a row of counters: client, principal, first levels of the topic, item. There\n\
         \x20 is room for about 300 000 rows, in order of appearance; at a restart the lightest rows beyond half of that are\n\
         \x20 given up. What has no row is exact by item, and stands under `(others)`.\n\
         * Who turns heavy when there is no room gets a row of a reserve (some 65 000): whoever has {HEAVY_LEAST} units and one in\n\
         \x20 {HEAVY_PART} of all that came without a row since the start. Such a row lacks what came before it: less than that.\n\
         \x20 (Minutes of a connection that began without a row stay without one until the client connects again.)\n\
         * Of a client without rows it can be told how much it had at most since the start (`--client ID`): too high by more\n\
         \x20 than {:.3} % of all that is without rows once in 50 times.\n\
         * Minutes are kept for a day, hours for two months. Of each, the {MOST_KEPT} heaviest rows are kept, and the sums by\n\
         \x20 item exactly. What happened in the second around a full minute may stand in either. A kept row takes 12 bytes of memory,\n\
         \x20 48 if messages longer than a step or large numbers are in it: some 10 MB when a day and two months are full.\n\
         * Counters are written once a second. They are on disk before the next look: `kill -9` and a power failure lose the second since.\n\
         * A bill takes what was measured for all there was in a month. Parts of groups are rounded down to 1e-12 USD.\n\n",
        Switches::names().map(code).collect::<Vec<_>>().join(", "),
        metering::SKETCH_ERROR * 100.0,
    )
}

fn prices(out: &mut String, region: &str) {
    let Ok(prices) = Prices::shipped(region) else { return };
    out.push_str(&format!("## Prices of {region}\n\nEdition {}, of {}.\n\n", prices.version, prices.date));
    let rows = Dimension::ALL.iter().flat_map(|dimension| {
        let free = prices.free(*dimension).to_string();
        let tiers = prices.tiers(*dimension).iter().enumerate();
        tiers.map(move |(place, tier)| {
            let evidence = if tier.confirmed { "documented" } else { "UNCONFIRMED" };
            vec![
                dimension.name().to_owned(),
                dimension.unit().to_owned(),
                tier.from.to_string(),
                tier.price.times(1_000_000).to_string(),
                if place == 0 { free.clone() } else { String::new() },
                evidence.to_owned(),
            ]
        })
    });
    let heads = ["Dimension", "Unit", "From unit", "USD per million", "Free in a month", "Evidence"];
    table(out, &heads, rows);
}
