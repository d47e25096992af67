//! What crashes left of disks, and what became of disks that failed, on the page.

use super::{paragraph, section};
use crate::record::verification::Crashes;
use crate::report::html::Table;
use crate::report::markup::text;
use crate::report::words::{count, grouped, significant};

/// The section.
pub(super) fn section_of(out: &mut String, found: &Crashes) {
    section(out, "What crashes leave of a disk");
    let lead = format!(
        "{} at {} moments of {}, from seed {}, in {} s: acknowledged changes lost after {}, anything else wrong after {}. Names lacked in {}.",
        count(found.images() as usize, "leftover", "leftovers"),
        grouped(found.moments as f64),
        count(found.lives as usize, "life", "lives"),
        found.seed,
        significant(found.elapsed_s),
        found.lost,
        found.wrong,
        grouped(found.names_lost as f64)
    );
    paragraph(out, &lead);
    let mut table = Table::new("", "lr");
    table.column("what became of unsynced bytes", "");
    table.column("leftovers", "");
    for (kind, images) in &found.images_by_kind {
        table.row(vec![kind.clone(), grouped(*images as f64)]);
    }
    for (what, flips) in [
        ("a synced bit turned: refused", found.flips_refused),
        ("a synced bit turned where nobody reads", found.flips_harmless),
        ("a synced bit turned in the last record, as if torn", found.flips_in_last),
        (
            "a start refused, since a sector being written held anything (among the noise above)",
            found.noise_refused,
        ),
    ] {
        table.row(vec![what.to_owned(), grouped(flips as f64)]);
    }
    table.write(out);
    mishaps(out, found);
    found.violations.iter().for_each(|one| out.push_str(&format!("<pre>{}</pre>\n", text(one))));
    out.push_str("</section>\n");
}

fn mishaps(out: &mut String, found: &Crashes) {
    let mut table = Table::new("", "lrrrr");
    ["mishap of a disk", "tried", "seen to happen", "member gave up", "leftovers"]
        .iter()
        .for_each(|name| table.column(name, ""));
    for one in &found.mishaps {
        table.row(vec![
            one.kind.clone(),
            one.tried.to_string(),
            one.happened.to_string(),
            one.stopped.to_string(),
            grouped(one.images as f64),
        ]);
    }
    table.write(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::verification::MishapRecord;

    #[test]
    fn it_says_what_was_tried_and_what_was_lost() {
        let mishap = MishapRecord { kind: "sync-fails".into(), tried: 6, ..Default::default() };
        let found = Crashes {
            images_by_kind: [("torn at 512 B".to_owned(), 40)].into(),
            flips_refused: 2,
            lost: 1,
            mishaps: vec![mishap],
            violations: vec!["<script>".into()],
            ..Crashes::default()
        };
        let mut page = String::new();
        section_of(&mut page, &found);
        assert!(page.contains("42 leftovers") && page.contains("lost after 1,"), "{page}");
        assert!(page.contains("torn at 512 B") && page.contains("sync-fails"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
}
