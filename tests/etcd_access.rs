//! A real etcd that does not let everybody in: users with passwords, and TLS with certificates on both sides. What a scenario says of them
//! reaches the servers, and who is turned away is told so at once.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "what was skipped is said")]

use kvbench::clock::Clock;
use kvbench::units::Nanos;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Far beyond what any wait here takes.
const PATIENCE: Nanos = Nanos::from_millis(60_000);

/// Whether all these programs are there; says which is not.
fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &str| std::env::split_paths(&path).any(|at| at.join(program).is_file());
    let missing = programs.iter().find(|program| !is_there(program));
    if let Some(missing) = missing {
        eprintln!("skipped: {missing} is not installed; ./scripts/setup etcd installs it");
    }
    missing.is_none()
}

/// An etcd that ends with the test.
struct Etcd {
    process: Child,
    port: u16,
}

impl Etcd {
    /// Starts one whose clients connect by `scheme`, with further flags.
    fn start(folder: &Path, scheme: &str, flags: &[String]) -> Etcd {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (clients, peers) = (free(), free());
        let [port, peer] = [&clients, &peers].map(|free| free.local_addr().unwrap().port());
        drop((clients, peers));
        let (url, peer) =
            (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let mut command = Command::new("etcd");
        command.args(["--name", "a", "--log-level", "error", "--logger", "zap", "--data-dir"]);
        command.arg(folder.join("etcd"));
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("a={peer}")]).args(flags);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (etcd, clock) = (Etcd { process, port }, Clock::start());
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(clock.now() < PATIENCE, "etcd does not come up");
            clock.sleep(Nanos::from_millis(20));
        }
        etcd
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that has to succeed; what it said.
fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success(), "{command:?}: {said}");
    said
}

/// Measures that etcd beside this server, as shortly as it goes; the password is in the environment. Gives the exit code and what was said.
fn run(folder: &Path, etcd: &str, password: Option<&str>) -> (Option<i32>, String) {
    let scenario = folder.join("access.toml");
    let text = format!(
        "schema = 1\nname = \"access\"\n[arms.before]\nlayer = \"etcd\"\netcd = {etcd}\n[arms.after]\nlayer = \"rpc\"\n\
         [keys]\nspace = 20\n[values]\nsize = \"32B\"\n[[op]]\nput = {{}}\nget = {{}}\n[[phase]]\nname = \"a\"\nwatchers = 1\n\
         warmup = \"10ms\"\nduration = \"100ms\"\nload.closed.clients = [2]\n\
         [trials]\naa = false\npairs = {{ min = 1, max = 1 }}\n"
    );
    std::fs::write(&scenario, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvbench"));
    command.args(["run", "--no-profile"]).arg(&scenario).arg("--out").arg(folder.join("out"));
    command.env_remove("KVBENCH_TEST_PASSWORD");
    command.envs(password.map(|password| ("KVBENCH_TEST_PASSWORD", password)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// Everything that was written below a folder.
fn contents(folder: &Path) -> Vec<u8> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let read = |path: PathBuf| match path.is_dir() {
        true => contents(&path),
        false => std::fs::read(path).unwrap(),
    };
    paths.flat_map(read).collect()
}

#[test]
fn a_user_is_let_in_with_the_right_password_only() {
    if !has(&["etcd", "etcdctl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Etcd::start(folder.path(), "http", &[]);
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let etcdctl = |words: &[&str]| {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoint]).args(words);
        command
    };
    let control = |words: &[&str]| done(&mut etcdctl(words));
    let clock = Clock::start();
    while !etcdctl(&["endpoint", "health"]).output().unwrap().status.success() {
        assert!(clock.now() < PATIENCE, "etcd does not get ready");
    }
    control(&["user", "add", "root:right-word"]);
    control(&["role", "add", "root"]);
    control(&["user", "grant-role", "root", "root"]);
    control(&["auth", "enable"]);

    let named = format!("endpoints = [\"{endpoint}\"]");
    let user = "user = \"root\", password_env = \"KVBENCH_TEST_PASSWORD\"";
    let (exit, said) = run(folder.path(), &format!("{{ {named}, {user} }}"), Some("right-word"));
    assert!(matches!(exit, Some(0 | 3)), "{exit:?} {said}");
    let written = contents(&folder.path().join("out"));
    assert!(!written.is_empty());
    let secret = b"right-word";
    assert!(
        !written.windows(secret.len()).any(|bytes| bytes == secret),
        "the password is in the bundle"
    );

    let began = clock.now();
    for (password, user, expected) in [
        (
            Some("wrong-word"),
            user,
            "etcdserver: authentication failed, invalid user ID or password",
        ),
        (None, user, "the environment has no KVBENCH_TEST_PASSWORD"),
        (None, "", "etcdserver: user name is empty"),
    ] {
        let table = format!("{{ {named}{}{user} }}", if user.is_empty() { "" } else { ", " });
        let (exit, said) = run(folder.path(), &table, password);
        assert_eq!(exit, Some(5), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("wrong-word"), "{said}");
    }
    let waited = clock.now().since(began);
    assert!(waited < Nanos::from_millis(30_000), "waited {waited} for a no to become a yes");
}

/// A CA with one certificate for a server and one for a client, as PEM files; and a CA that nobody knows.
fn certificates(at: &Path) {
    let openssl = |words: &str| {
        let mut command = Command::new("openssl");
        done(command.current_dir(at).args(words.split(' ')));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for ca in ["ca", "stranger"] {
        openssl(&format!("req -x509 {key} -days 2 -subj /CN={ca} -keyout {ca}.key -out {ca}.crt"));
    }
    std::fs::write(at.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    for name in ["server", "client"] {
        openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.crt"
        ));
    }
}

#[test]
fn certificates_are_shown_and_asked_for() {
    if !has(&["etcd", "openssl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let flags = ["--cert-file=server.crt", "--key-file=server.key", "--trusted-ca-file=ca.crt"];
    let flags = flags.map(|flag| {
        let (flag, name) = flag.split_once('=').unwrap();
        format!("{flag}={}", file(name))
    });
    let flags = [&flags[..], &["--client-cert-auth".to_owned()]].concat();
    let server = Etcd::start(folder.path(), "https", &flags);
    let endpoints = format!("endpoints = [\"https://127.0.0.1:{}\"]", server.port);
    let ca = format!("ca_file = \"{}\"", file("ca.crt"));
    let own = |name: &str| {
        let [cert, key] = ["crt", "key"].map(|end| file(&format!("{name}.{end}")));
        format!("cert_file = \"{cert}\", key_file = \"{key}\"")
    };

    let table = format!("{{ {endpoints}, {ca}, {} }}", own("client"));
    let (exit, said) = run(folder.path(), &table, None);
    assert!(matches!(exit, Some(0 | 3)), "{exit:?} {said}");

    let clock = Clock::start();
    let stranger = format!("ca_file = \"{}\"", file("stranger.crt"));
    for (table, expected) in [
        // Which alert it is depends on the version of TLS.
        (format!("{{ {endpoints}, {ca} }}"), "received fatal alert"),
        (format!("{{ {endpoints}, {stranger}, {} }}", own("client")), "UnknownIssuer"),
    ] {
        let (exit, said) = run(folder.path(), &table, None);
        assert_eq!(exit, Some(5), "{said}");
        assert!(said.contains(expected) && said.contains("do not get together"), "{said}");
    }
    let waited = clock.now();
    assert!(waited < Nanos::from_millis(30_000), "waited {waited} for a no to become a yes");
}
