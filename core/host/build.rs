//! Compiles the library that counts allocations, which the conformance suite carries inside.
use std::path::PathBuf;
use std::{env, process};

fn main() {
    let source = "src/conformance/count_allocations.c";
    println!("cargo:rerun-if-changed={source}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut build = cc::Build::new();
    let compiler = build.opt_level(2).warnings(true).extra_warnings(true).get_compiler();
    let status = compiler
        .to_command()
        // Or the compiler turns malloc and memset into a call of the calloc that is being defined.
        .args(["-shared", "-fPIC", "-fno-builtin", "-Werror", "-s", source, "-o"])
        .arg(out.join("count_allocations.so"))
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("the C compiler ended with {status}")),
        Err(error) => fail(&format!("no C compiler: {error}; install gcc")),
    }
}

fn fail(message: &str) -> ! {
    println!("cargo:warning={message}");
    process::exit(1)
}
