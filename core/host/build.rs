//! Compiles the library that counts allocations, which the conformance suite carries inside.
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let source = "src/conformance/count_allocations.c";
    println!("cargo:rerun-if-changed={source}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut build = cc::Build::new();
    let compiler = build.opt_level(2).warnings(true).extra_warnings(true).get_compiler();
    let status = compiler
        .to_command()
        // Or the compiler turns malloc and memset into a call of the calloc that is being defined.
        .args(["-shared", "-fPIC", "-fno-builtin", "-Werror", "-s", source, "-o"])
        .arg(out.join("count_allocations.so"))
        .status();
    match status {
        Ok(status) if status.success() => return ExitCode::SUCCESS,
        Ok(status) => println!("cargo:warning=the C compiler ended with {status}"),
        Err(error) => println!("cargo:warning=no C compiler ({error}): apt-get install gcc"),
    }
    ExitCode::FAILURE
}
