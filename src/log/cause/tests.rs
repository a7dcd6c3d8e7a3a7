//! What tools really print, and which lines of it are the cause.

use super::*;
use crate::task::Stream;

/// The lines of `text` that are taken for a cause.
fn found(text: &str) -> Vec<&str> {
    let mut causes = Causes::default();
    text.lines().filter(|line| causes.takes(Origin::Stream(Stream::Stderr), line)).collect()
}

#[test]
fn compilers_and_make() {
    let cargo = "\
   Compiling app v0.1.0 (/src/app)
error[E0308]: mismatched types
 --> src/main.rs:2:18
  |
2 |     let x: u32 = \"a\";
  |            ---   ^^^ expected `u32`, found `&str`
For more information about this error, try `rustc --explain E0308`.
error: could not compile `app` (bin \"app\") due to 1 previous error";
    assert_eq!(
        found(cargo),
        [
            "error[E0308]: mismatched types",
            "error: could not compile `app` (bin \"app\") due to 1 previous error"
        ]
    );
    let make = "\
cc -Wall -Werror -c -o a.o a.c
a.c: In function 'main':
a.c:3:5: error: 'x' undeclared (first use in this function)
    3 |     x = 1;
b.c:1:10: fatal error: no.h: No such file or directory
/usr/bin/ld: a.o: in function `main': a.c:(.text+0x5): undefined reference to `f'
collect2: error: ld returned 1 exit status
make[1]: *** [Makefile:3: a.o] Error 1
make: *** Waiting for unfinished jobs....
make: *** [Makefile:1: all] Error 2";
    let lines: Vec<&str> = make.lines().collect();
    assert_eq!(found(make), [lines[2], lines[4], lines[5], lines[6], lines[7], lines[9]]);
    assert_eq!(found("src/a.ts(3,1): error TS2322: Type 'x' is not 'y'.").len(), 1);
}

#[test]
fn tests_that_fail() {
    let cargo = "\
running 2 tests
test tests::good ... ok
test tests::bad ... FAILED
thread 'tests::bad' panicked at src/lib.rs:9:9:
assertion `left == right` failed
test result: FAILED. 1 passed; 1 failed; 0 ignored
error: test failed, to rerun pass `--lib`";
    assert_eq!(
        found(cargo),
        [
            "test tests::bad ... FAILED",
            "thread 'tests::bad' panicked at src/lib.rs:9:9:",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored"
        ]
    );
    let pytest = "\
collected 2 items
test_x.py .F                                     [100%]
    def test_b():
>       assert f() == 3
E       assert 4 == 3
E        +  where 4 = f()
test_x.py:6: AssertionError
FAILED test_x.py::test_b - assert 4 == 3
========= 1 failed, 1 passed in 0.02s =========";
    assert_eq!(
        found(pytest),
        ["E       assert 4 == 3", "E        +  where 4 = f()", "FAILED test_x.py::test_b - assert 4 == 3"]
    );
    assert_eq!(found("--- FAIL: TestX (0.00s)\n    x_test.go:7: got 1\nFAIL"), ["--- FAIL: TestX (0.00s)"]);
}

#[test]
fn of_a_traceback_the_last_line() {
    let python = "\
Traceback (most recent call last):
  File \"/src/x.py\", line 3, in <module>
    raise Error: FAILED
requests.exceptions.Timeout: no answer from 10.0.0.1
done";
    assert_eq!(found(python), ["requests.exceptions.Timeout: no answer from 10.0.0.1"]);
    let chained = "Traceback (most recent call last):\n  x\nKeyError: 'a'\n\nDuring handling of the above exception, another \
        exception occurred:\n\nTraceback (most recent call last):\n  y\nValueError: b";
    assert_eq!(found(chained), ["KeyError: 'a'", "ValueError: b"]);
    // Each stream has its own.
    let mut causes = Causes::default();
    let [out, err] = [Stream::Stdout, Stream::Stderr].map(Origin::Stream);
    assert!(!causes.takes(err, "Traceback (most recent call last):"));
    assert!(!causes.takes(out, "working"));
    assert!(causes.takes(err, "Stop"));
    assert!(!causes.takes(Origin::Gco, "error: x"));
}

#[test]
fn other_tools() {
    for line in [
        "npm ERR! code ELIFECYCLE",
        "npm error code ENOENT",
        "TypeError: Cannot read properties of undefined (reading 'x')",
        "Uncaught ReferenceError: x is not defined",
        "Exception in thread \"main\" java.lang.NullPointerException",
        "Caused by: java.io.IOException: gone",
        "fatal: not a git repository (or any of the parent directories): .git",
        "12:01:07 | CREATE_FAILED        | AWS::S3::Bucket | Bucket b already exists",
        "MyStack | 3/7 | 10:34:12 AM | UPDATE_FAILED | AWS::IAM::Role | Role",
        " ❌  MyStack failed: Error: The stack named MyStack failed to deploy: UPDATE_ROLLBACK_COMPLETE",
        "│ Error: creating S3 Bucket (b): BucketAlreadyExists",
        "sh: 1: nosuch: not found: command not found",
        "bash: line 1: nosuch: command not found",
        "cat: x: No such file or directory",
        "2026-11-21 10:34:12 ERROR main: cannot connect",
        "[ERROR] Failed to execute goal",
        "time=2026 level=error msg=\"no answer\"",
        "ERROR: 2 tables are missing",
        "write: No space left on device",
        "Segmentation fault (core dumped)",
        "panic: runtime error: index out of range",
    ] {
        assert!(is_cause(line), "{line}");
    }
}

#[test]
fn the_innocent() {
    for line in [
        "",
        "   ",
        "│",
        "0 errors",
        "10 errors",
        "0 errors, 0 warnings",
        "errors: 0, failed: 0",
        "Errors: 0",
        "error: 0",
        "ERROR: 0",
        "FAILED: 0",
        "FAILED=0",
        "0 FAILED",
        "no ERROR",
        "no error",
        "without errors",
        "CC error_handler.c",
        "error_handler.c compiled",
        "Compiling thiserror v1.0",
        "cc -Werror -Wfatal-errors -c x.c",
        "LOG_LEVEL=ERROR",
        "ON_ERROR_STOP is set",
        "set -e ON ERROR",
        "echo \"FAILED\"",
        "test tests::error ... ok",
        "test result: ok. 5 passed; 0 failed; 0 ignored",
        "make: Nothing to be done for 'all'.",
        "make: *** Waiting for unfinished jobs....",
        "npm ERR! A complete log of this run can be found in: /x",
        "npm error: none",
        "E ",
        "E    ",
        "Error",
        "error:",
        "ErrorHandler: ready",
        "Error handling is on",
        "ERROR_CODE 3 is for later",
        "CREATE_COMPLETE",
        "docs/ERROR.md written",
        "{\"error\": null}",
        "all tests passed, nothing failed",
    ] {
        assert!(!is_cause(line), "{line}");
    }
}
