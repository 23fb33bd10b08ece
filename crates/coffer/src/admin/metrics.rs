//! A report as Prometheus text.

use std::fmt::Write as _;

use crate::status::Report;

/// The store's own families after those of `requests`.
pub fn render(report: &Report, requests: &str, events: &[(&'static str, u64)]) -> String {
    let mut out = String::from(requests);
    let mut family = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value as f64)];

    let info = labels(&[("version", &report.version), ("store", &report.store)]);
    family("coffer_info", "gauge", "Version and store.", &[(info, 1.0)]);
    let connections = one(report.connections);
    family("coffer_s3_connections", "gauge", "Open connections.", &connections);
    let events: Vec<_> =
        events.iter().map(|(name, n)| (labels(&[("event", name)]), *n as f64)).collect();
    let help = "What happened to connections: handshakes, refusals, requests by protocol.";
    family("coffer_connection_events_total", "counter", help, &events);
    if let Some(tls) = &report.tls {
        let until = vec![(String::new(), tls.valid_until_secs as f64)];
        let help = "Until when the certificate is valid, since 1970.";
        family("coffer_tls_valid_until_seconds", "gauge", help, &until);
        let refused = one(u64::from(tls.refused.is_some()));
        let help = "1 if a newer certificate could not be taken.";
        family("coffer_tls_certificate_refused", "gauge", help, &refused);
    }
    family("coffer_uptime_seconds", "gauge", "Since the start.", &one(report.uptime_secs));
    family(
        "coffer_degraded",
        "gauge",
        "1 if the set is not whole.",
        &one(u64::from(!report.degraded.is_empty())),
    );
    family(
        "coffer_read_only",
        "gauge",
        "1 if nothing can be written.",
        &one(u64::from(report.read_only.is_some() || report.writing.is_none())),
    );
    let each = |value: &dyn Fn(&crate::status::DriveReport) -> f64| {
        let drives = report.drives.iter();
        drives.map(|d| (labels(&[("drive", &d.path)]), value(d))).collect::<Vec<_>>()
    };
    let active = each(&|d| f64::from(u8::from(d.state == "active")));
    family("coffer_drive_active", "gauge", "1 if the drive takes part.", &active);
    let fenced = each(&|d| f64::from(u8::from(d.state == "fenced")));
    family("coffer_drive_fenced", "gauge", "1 if nothing on it is trusted.", &fenced);
    let slow = each(&|d| f64::from(u8::from(d.slow)));
    family("coffer_drive_slow", "gauge", "1 if reads avoid it, as it answers late.", &slow);
    let stalled = each(&|d| f64::from(u8::from(d.stalled)));
    family("coffer_drive_stalled", "gauge", "1 if it was given up, as it hung.", &stalled);
    let hedged = each(&|d| d.hedged_reads as f64);
    let help = "Reads taken from other drives, as it answered late.";
    family("coffer_drive_hedged_reads_total", "counter", help, &hedged);
    let total = each(&|d| d.total_bytes as f64);
    family("coffer_drive_total_bytes", "gauge", "Size of its file system.", &total);
    let free = each(&|d| d.free_bytes as f64);
    family("coffer_drive_free_bytes", "gauge", "What can still be written.", &free);

    let barriers = each(&|d| d.barriers as f64);
    family("coffer_barriers_total", "counter", "Durability barriers.", &barriers);

    let segments = |value: &dyn Fn(&crate::status::SegmentsReport) -> Option<u64>| {
        let all = report.segments.iter().filter_map(|s| {
            value(s).map(|n| (labels(&[("kind", &s.kind), ("state", &s.state)]), n as f64))
        });
        all.collect::<Vec<_>>()
    };
    let counts = segments(&|s| Some(s.count));
    family("coffer_segments", "gauge", "Segments of the log.", &counts);
    let bodies = segments(&|s| s.body_bytes);
    family("coffer_segment_body_bytes", "gauge", "Bytes in them, uncoded.", &bodies);
    let degraded = one(report.segments_degraded);
    family("coffer_segments_degraded", "gauge", "Segments that miss a drive.", &degraded);
    let to_seal = one(report.segments_to_seal);
    family("coffer_segments_to_seal", "gauge", "Full and not sealed yet.", &to_seal);
    let gaps = one(report.segments_with_gaps);
    family("coffer_segments_with_gaps", "gauge", "Segments that a live drive lacks.", &gaps);
    let queued = one(report.damage_queued);
    family("coffer_damage_queued", "gauge", "Damaged places that wait to be healed.", &queued);
    let found = each(&|d| d.damage_found as f64);
    family("coffer_drive_damage_found_total", "counter", "Things found wrong.", &found);
    let healed = each(&|d| d.damage_healed as f64);
    family("coffer_drive_damage_healed_total", "counter", "Of those, healed.", &healed);
    let unhealable = each(&|d| d.damage_unhealable as f64);
    family("coffer_drive_damage_unhealable_total", "counter", "Of those, not.", &unhealable);
    let scrub = &report.scrub;
    family("coffer_scrub_bytes_total", "counter", "Read by scrubs.", &one(scrub.totals.bytes));
    family("coffer_scrub_found_total", "counter", "Found wrong.", &one(scrub.totals.found));
    family("coffer_scrub_healed_total", "counter", "Healed.", &one(scrub.totals.healed));
    family("coffer_scrub_lost_total", "counter", "Beyond repair.", &one(scrub.totals.lost));
    let running = one(u64::from(scrub.running.is_some()));
    family("coffer_scrub_running", "gauge", "1 while a pass is made.", &running);
    family(
        "coffer_scrub_age_seconds",
        "gauge",
        "Since the last whole pass; none yet: since the store was made.",
        &one(scrub.age_secs),
    );
    let position = one(report.log_position);
    family("coffer_log_position", "counter", "Commit groups in history.", &position);
    let index = &report.index;
    family("coffer_index_position", "counter", "How far the index is.", &one(index.position));
    family("coffer_index_bytes", "gauge", "Its size on the drive.", &one(index.disk_bytes));
    let reads = &index.reads;
    let by = |name: &str, values: &[(&str, u64)]| {
        let values = values.iter().map(|(value, n)| (labels(&[(name, value)]), *n as f64));
        values.collect::<Vec<_>>()
    };
    let gets = by("from", &[("hot", reads.hot), ("tree", reads.gets)]);
    let help = "Rows looked up: in rows kept in memory, in the tree.";
    family("coffer_index_gets_total", "counter", help, &gets);
    let filters =
        by("said", &[("absent", reads.filtered), ("perhaps, wrongly", reads.filter_errors)]);
    let help = "What filters of tables said of keys that these do not have.";
    family("coffer_index_filter_total", "counter", help, &filters);
    let blocks = by(
        "from",
        &[
            ("cache", reads.blocks_cached),
            ("file", reads.blocks_read),
            ("directory", reads.directory_blocks),
        ],
    );
    let help = "Blocks of the index that gets and scans looked into; directory: of filters and block \
                indexes that are not kept in memory.";
    family("coffer_index_blocks_total", "counter", help, &blocks);
    let steps = index.longest_steps_us.iter();
    let steps: Vec<_> =
        steps.map(|(step, us)| (labels(&[("step", step)]), *us as f64 / 1e6)).collect();
    let help = "The longest that a step of a commit group took since the start.";
    family("coffer_commit_step_longest_seconds", "gauge", help, &steps);
    family("coffer_index_remade_total", "counter", "Made anew from the log.", &one(index.remade));
    let remaking = one(u64::from(index.remaking.is_some()));
    family("coffer_index_remaking", "gauge", "1 while it is made anew.", &remaking);
    let checkpoint = one(index.checkpoint_position.unwrap_or(0));
    family("coffer_checkpoint_position", "gauge", "The last checkpoint's; 0: none.", &checkpoint);
    family("coffer_checkpoints_total", "counter", "Checkpoints written.", &one(index.checkpoints));
    family("coffer_commit_groups_total", "counter", "Groups committed.", &one(index.groups));
    family("coffer_commits_total", "counter", "Commits in them.", &one(index.commits));
    let group_bytes = one(index.group_bytes);
    family("coffer_commit_group_bytes_total", "counter", "Bytes of groups.", &group_bytes);
    family("coffer_commits_rejected_total", "counter", "Refused.", &one(index.rejected));
    family("coffer_commits_failed_total", "counter", "Failed.", &one(index.failed));
    let usage = &report.usage;
    family("coffer_buckets", "gauge", "Buckets.", &one(usage.buckets));
    family("coffer_objects", "gauge", "Objects.", &one(usage.objects));
    family("coffer_object_bytes", "gauge", "Bytes of all versions.", &one(usage.bytes));
    let versions = "Versions that are not the current object, and delete markers.";
    family("coffer_versions", "gauge", versions, &one(usage.versions));
    family("coffer_uploads", "gauge", "Uploads under way.", &one(usage.uploads));
    family(
        "process_resident_memory_bytes",
        "gauge",
        "Memory of the process.",
        &one(report.memory_bytes),
    );
    out
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let escape =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}
