//! A report for people.

use std::fmt::Write as _;

use super::report::Report;

/// Several lines of text.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{}", text.trim_end());
    };
    let state = match (&report.read_only, &report.writing) {
        (Some(why), _) => format!("READ-ONLY: {why}"),
        (None, None) => "READ-ONLY: too few drives are live".to_owned(),
        (None, Some(_)) if report.degraded.is_empty() => "all well".to_owned(),
        (None, Some(scheme)) if *scheme == report.scheme => "DEGRADED".to_owned(),
        (None, Some(scheme)) => format!("DEGRADED, writing {scheme}"),
    };
    line(format!("store     {}  Coffer {}", report.store, report.version));
    line(format!("state     {state}"));
    for why in &report.degraded {
        line(format!("          {why}"));
    }
    if let Some(why) = &report.index.remaking {
        line(format!("          the index is being made anew: {why}"));
    }
    if let Some(why) = &report.index.persist_failure {
        line(format!("          the index can't be made durable: {why}"));
    }
    if let Some(why) = &report.index.checkpoint_failure {
        line(format!("          no checkpoint of the index: {why}"));
    }
    line(format!("up        {}", duration(report.uptime_secs)));
    line(format!(
        "process   {} of memory, {}",
        bytes(report.memory_bytes),
        count(report.connections, "connection")
    ));
    if let Some(tls) = &report.tls {
        line(format!("tls       {}", tls.source));
        line(format!("          SHA-256 {}", tls.fingerprint));
        if let Some(why) = &tls.refused {
            line(format!("          A NEWER CERTIFICATE WAS REFUSED: {why}"));
        }
    }
    let usage = &report.usage;
    let older = match usage.versions {
        0 => String::new(),
        versions => format!(" with {}", count(versions, "older version")),
    };
    line(format!(
        "stored    {} in {}{older} and {}, {} under way",
        bytes(usage.bytes),
        count(usage.objects, "object"),
        count(usage.buckets, "bucket"),
        count(usage.uploads, "upload"),
    ));
    line(format!(
        "log       position {}, epoch {}, {} since the start",
        report.log_position,
        report.epoch,
        count(report.drives.iter().map(|d| d.barriers).sum(), "barrier")
    ));
    let index = &report.index;
    line(format!(
        "index     position {}, {} on its drive, {} in {} since the start",
        index.position,
        bytes(index.disk_bytes),
        count(index.commits, "commit"),
        count(index.groups, "group")
    ));
    if let Some(position) = index.checkpoint_position {
        line(format!("          checkpoint at position {position}"));
    }
    line(String::new());
    line(format!("drives ({})", report.scheme));
    let width = report.drives.iter().map(|d| d.path.chars().count()).max().unwrap_or(0);
    for drive in &report.drives {
        line(format!(
            "  {:width$}  {:7}  {:>10} free of {:>10}  {}",
            drive.path,
            drive.state,
            bytes(drive.free_bytes),
            bytes(drive.total_bytes),
            match (&drive.since, &drive.why) {
                (Some(since), Some(why)) => format!("since {since}: {why}"),
                (None, Some(why)) => why.clone(),
                (_, None) => String::new(),
            }
        ));
    }
    line(String::new());
    line("segments".to_owned());
    for s in &report.segments {
        let body = s.body_bytes.map(bytes).unwrap_or_default();
        line(format!("  {:7} {:8} {:>6}  {body:>10}", s.kind, s.state, s.count));
    }
    if report.segments_to_seal > 0 {
        line(format!("  {} full and not sealed yet", report.segments_to_seal));
    }
    line(String::new());
    for text in scrub(report) {
        line(text);
    }
    out
}

/// What was done against silent damage.
fn scrub(report: &Report) -> Vec<String> {
    let state = &report.scrub;
    let mut out = Vec::new();
    let last = match state.last_full_secs {
        Some(secs) => format!("the last whole pass ended {} ago", duration(secs)),
        None => "no whole pass yet".to_owned(),
    };
    let totals = &state.totals;
    out.push(format!(
        "scrub     {last}; {} read, {} found wrong, {} healed",
        bytes(totals.bytes),
        totals.found,
        totals.healed
    ));
    if totals.lost > 0 {
        out.push(format!("          {} LOST: more was wrong than parity gives back", totals.lost));
    }
    if let (Some(kind), Some(pass), Some(total)) = (&state.running, &state.pass, state.bytes_total)
    {
        let rate = pass.bytes.saturating_mul(1000) / pass.took_ms.max(1);
        let left = total.saturating_sub(pass.bytes) / rate.max(1);
        out.push(format!(
            "          now {} of {} ({kind}), {}/s, {} left",
            bytes(pass.bytes.min(total)),
            bytes(total),
            bytes(rate),
            duration(left)
        ));
    }
    for drive in report.drives.iter().filter(|drive| drive.damage_found > 0) {
        out.push(format!(
            "          {}: {} found wrong, {} healed, {} not",
            drive.path, drive.damage_found, drive.damage_healed, drive.damage_unhealable
        ));
    }
    out
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A size with a unit of 1024.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let exponent = (n.ilog2() / 10) as usize;
    format!("{:.1} {}", n as f64 / (1u64 << (10 * exponent)) as f64, UNITS[exponent - 1])
}

fn duration(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min {} s", secs % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (secs, text) in
            [(5, "5 s"), (65, "1 min 5 s"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(secs), text);
        }
    }
}
