# The commands of the work on tidegate. `.ci/run` and .github/workflows/ci.yml run these, and no others.
# `.ci/tools` installs what they call besides cargo, and just itself.

set shell := ["bash", "-euo", "pipefail", "-c"]
export PATH := justfile_directory() / "target/tools/bin:" + env("PATH")

# What there is
_list:
    @just --list --unsorted

# Everything that must hold before a change lands, on Debian as root; `just all --full` for the long forms
all *options:
    .ci/run {{ options }}

# The format
format:
    cargo fmt --check

# Clippy, with the command `demo` and without; a warning is an error
lints:
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --all-targets --no-default-features -- -D warnings

# The tests that need nothing but cargo
tests *options:
    cargo test --locked {{ options }}

# Words, in everything that is tracked
spelling:
    typos

# What dependencies bring: versions, licences, sources
dependencies:
    cargo deny --locked check -D unmatched-skip bans licenses sources

# Weaknesses of dependencies that are published; fetches the list of them
advisories:
    cargo deny --locked check advisories

# Every fuzz target, for so long each
fuzz seconds="60":
    fuzz/run {{ seconds }}

# That the measuring works, with the binaries that the tests have built
measuring:
    benches/compare/scale --quick --seconds 0.2 {{ built }}
    benches/compare/run --quick --seconds 0.2 --only tidegate,floor --work echo,sealed {{ built }}

built := "--tidegate target/debug/tidegate --tool target/debug/examples/compare"

# The demo, once
demo:
    cargo run --locked --release -- demo --once

# Real peers; `just peers --full` for Autobahn's long cases, an hour more
peers *options:
    cargo build --locked --release --bin tidegate --example sealed_adaptor
    tests/peers/run {{ options }}

# The oldest compiler that Cargo.toml promises
oldest:
    rustup run --install "$(sed -n 's/^rust-version = "\(.*\)"/\1.0/p' Cargo.toml)" cargo check --locked --all-targets

# Another target, such as aarch64-unknown-linux-gnu or x86_64-unknown-linux-musl; takes its C compiler
target triple:
    rustup target add {{ triple }}
    cargo check --locked --target {{ triple }}
