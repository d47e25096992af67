//! Who may come in, and by which way: nothing listens beyond this machine unless that was said twice.

use crate::desk::{Desk, usage};

#[test]
fn nobody_beyond_this_machine_by_accident() {
    let desk = Desk::new();
    let remote = "can be reached from other machines, without TLS";
    let serve = ["serve", "--data-dir", "@/data"];
    let with = |more: &[&'static str]| serve.iter().chain(more).copied().collect::<Vec<&str>>();
    let local = "http://127.0.0.1:0";
    let rows = [
        (with(&["--listen-client-urls", "http://0.0.0.0:0"]), remote),
        (with(&["--listen-client-urls", "http://[::]:0"]), remote),
        (with(&["--listen-client-urls", "http://127.0.0.1:0,http://0.0.0.0:0"]), remote),
        (
            with(&["--listen-client-urls", local, "--listen-metrics-urls", "http://0.0.0.0:0"]),
            remote,
        ),
        (with(&["--listen-client-urls", local, "--listen-peer-urls", "http://0.0.0.0:0"]), remote),
        (with(&["--listen-client-urls", "https://127.0.0.1:0"]), "needs a certificate"),
        (
            with(&["--listen-client-urls", local, "--listen-peer-urls", "https://127.0.0.1:0"]),
            "needs a certificate",
        ),
        (
            with(&[
                "--listen-client-urls",
                local,
                "--cert-file",
                "@/s.toml",
                "--key-file",
                "@/s.toml",
            ]),
            "is not https, but there is a certificate",
        ),
        (
            with(&[
                "--listen-client-urls",
                local,
                "--listen-peer-urls",
                local,
                "--initial-cluster",
                "default=http://127.0.0.1:1,b=https://127.0.0.1:2",
            ]),
            "needs a certificate of this member's, too",
        ),
        (vec!["agent", "--listen", "http://0.0.0.0:0"], remote),
        (vec!["agent", "--listen", "https://127.0.0.1:0"], "needs a certificate"),
        (
            vec!["run", "@/s.toml", "--set", "system.layer=rpc", "--agents", "10.0.0.7:2390"],
            "listen on this machine only",
        ),
        (vec!["run", "@/s.toml", "--agents", "127.0.0.1:2390"], "where no agent gets in"),
        (
            vec!["run", "@/s.toml", "--agents", "a:1,a:1", "--set", "system.layer=rpc"],
            "is named twice",
        ),
    ];
    let says: Vec<[&str; 1]> = rows.iter().map(|(_, says)| [*says]).collect();
    let rows: Vec<_> = rows.iter().zip(&says).map(|((args, _), says)| usage(args, says)).collect();
    desk.check("access", &rows);
}
