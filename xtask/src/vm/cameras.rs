//! Cases of a camera that fails, goes, comes back, or is another one, with the kernel's virtual camera.
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::heard::{Heard, check_account, dropped, list, number, stage};
use super::ramdisk::{Guest, Put};
use super::{Case, Context};
use crate::cross;

/// All of them.
pub const CASES: [Case; 7] = [
    Case { name: "dequeue_error", alone: false, run: dequeue_error },
    Case { name: "corrupt_buffer", alone: false, run: corrupt_buffer },
    Case { name: "disconnect", alone: false, run: disconnect },
    Case { name: "driver_reload", alone: false, run: driver_reload },
    Case { name: "format_change", alone: false, run: format_change },
    Case { name: "late_camera", alone: false, run: late_camera },
    Case { name: "two_cameras", alone: false, run: two_cameras },
];

fn dequeue_error(context: &Context) -> Result<String> {
    let heard = run(context, "dequeue_error")?;
    let status = heard.report()?;
    let [faults, restarts] = camera_numbers(&status, ["faults", "restarts"])?;
    ensure!(heard.times("pressed") == 6 && faults >= 4, "{faults} faults of 4 that were caused");
    let refusals = heard.logged("does not start");
    ensure!(refusals >= 2, "{refusals} attempts of 2 were refused");
    ensure!(restarts >= 4, "the camera was opened again {restarts} times, not 4");
    held_alike(&heard)?;
    let flow = flow(&heard, &status)?;
    Ok(format!("{faults} faults, {refusals} refusals, opened again {restarts} times, {flow}"))
}

fn corrupt_buffer(context: &Context) -> Result<String> {
    let heard = run(context, "corrupt_buffer")?;
    let status = heard.report()?;
    let pressed = heard.times("pressed") as u64;
    let [faults, skipped] = camera_numbers(&status, ["faults", "skipped"])?;
    ensure!(pressed == 40 && faults == 0, "{faults} faults, for {pressed} damaged frames");
    // A press for each frame at most; a slow machine may show two presses in one frame.
    ensure!(skipped >= pressed / 2, "{skipped} frames left out, for {pressed} damaged ones");
    held_alike(&heard)?;
    Ok(format!("{skipped} frames left out, {}", flow(&heard, &status)?))
}

fn disconnect(context: &Context) -> Result<String> {
    let heard = run(context, "disconnect")?;
    let status = heard.report()?;
    let [faults, restarts] = camera_numbers(&status, ["faults", "restarts"])?;
    ensure!(heard.times("pressed") == 3, "the camera was not disconnected three times");
    ensure!(faults >= 3 && restarts >= 3, "{faults} faults and {restarts} restarts, not 3");
    held_alike(&heard)?;
    let (normal, after) = (heard.fact("ticks-normal")?, heard.fact("ticks-after")?);
    ensure!(after <= 2 * normal + 20, "4 s took {normal} ticks before, and {after} after");
    Ok(format!("lost and found {restarts} times, {}", flow(&heard, &status)?))
}

fn driver_reload(context: &Context) -> Result<String> {
    let heard = run(context, "driver_reload")?;
    let status = heard.report()?;
    heard.fact("gone")?;
    let away = heard.status("away")?;
    ensure!(away["daemon"]["state"] == "degraded", "without its camera it is {}", away["daemon"]);
    ensure!(stage(&away, "main", "camera")?["state"] == "restarting", "the camera is not awaited");
    ensure!(heard.fact("maps-away")? == 0, "buffers of a camera that is gone are still mapped");
    let lines = heard.logged("is absent");
    ensure!(lines <= 3, "{lines} lines say that the camera is absent");
    held_alike(&heard)?;
    Ok(format!("{}, {}", idle(&heard)?, flow(&heard, &status)?))
}

fn format_change(context: &Context) -> Result<String> {
    let heard = run(context, "format_change")?;
    let status = heard.report()?;
    let formats = ["first", "reloaded", "other", "again", "last"]
        .map(|when| heard.words(&format!("format-{when}")).unwrap_or_default());
    let expected =
        ["YUYV 640x480", "GREY 320x180", "RGB3 1280x720", "GREY 320x180", "YUYV 640x480"];
    ensure!(formats == expected, "the camera's formats were {formats:?}, not {expected:?}");
    let [restarts] = camera_numbers(&status, ["restarts"])?;
    ensure!(status["daemon"]["reloads"] == 2, "not two reloads: {}", status["daemon"]);
    held_alike(&heard)?;
    Ok(format!("{}; {restarts} restarts, {}", formats.join(", "), flow(&heard, &status)?))
}

fn late_camera(context: &Context) -> Result<String> {
    let heard = run(context, "late_camera")?;
    let status = heard.report()?;
    heard.fact("gone")?;
    let away = heard.status("away")?;
    ensure!(away["daemon"]["state"] == "degraded", "without its camera it is {}", away["daemon"]);
    let [emitted] = camera_numbers(&away, ["emitted"])?;
    ensure!(emitted == 0, "{emitted} frames of a camera that is not there");
    let lines = heard.logged("is absent");
    ensure!(lines == 1, "{lines} lines say that the camera is absent");
    let waited = heard.at("first-frame")?.saturating_sub(heard.at("plugged-in")?);
    let (idle, flow) = (idle(&heard)?, flow(&heard, &status)?);
    Ok(format!("first frame {:.1} s after the camera came, {idle}, {flow}", waited.as_secs_f64()))
}

fn two_cameras(context: &Context) -> Result<String> {
    let heard = run(context, "two_cameras")?;
    let status = heard.report()?;
    ensure!(heard.times("pressed") == 1, "no fault was caused");
    let faults = |of| number(stage(&status, of, "camera")?, "faults");
    let (one, other) = (faults("main")?, faults("other")?);
    ensure!(one == 0 && other >= 1, "{one} faults of the good camera, {other} of the bad one");
    held_alike(&heard)?;
    flow(&heard, &status)
}

/// Boots a guest for the script of this name and waits for its end.
fn run(context: &Context, name: &str) -> Result<Heard> {
    let (root, folder) = (&context.root, context.root.join("tests/vm"));
    let files = vec![
        Put::new(context.program("edgemilld"), "/bin/edgemilld"),
        Put::new(context.program("edgemill"), "/bin/edgemill"),
        Put::new(context.program("libprobe.so"), "/edgemill/plugins/probe.so"),
        Put::new(cross::built(root).join("examples/vivid"), "/bin/vivid"),
        Put::new(folder.join("daemon/board.toml"), "/edgemill/board.toml"),
        Put::new(folder.join("lib.sh"), "/lib.sh"),
    ];
    let script = format!("{name}.sh");
    let heard = Guest { root, name, files, script: &script, log: context.log(name) }.run()?;
    let heard = Heard::new(heard)?;
    let exit = heard.fact("exit").context("the daemon was never stopped")?;
    ensure!(exit == 0, "the daemon ended with exit code {exit}");
    Ok(heard)
}

fn camera_numbers<const N: usize>(status: &Value, names: [&str; N]) -> Result<[u64; N]> {
    let camera = stage(status, "main", "camera")?;
    let mut numbers = [0; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        *number = super::heard::number(camera, name)?;
    }
    Ok(numbers)
}

/// Nothing leaks: after the faults the daemon holds what it held before them, and the camera's buffers are mapped once.
fn held_alike(heard: &Heard) -> Result<()> {
    for what in ["fds", "maps"] {
        let when = |when: &str| heard.fact(&format!("{what}-{when}"));
        let (before, after) = (when("before")?, when("after")?);
        ensure!(before > 0, "no {what} before");
        ensure!(before == after, "{before} {what} before the faults, {after} after");
    }
    Ok(())
}

/// Waiting for a camera costs next to nothing: less than two hundredths of a core.
fn idle(heard: &Heard) -> Result<String> {
    let away = heard.fact("ticks-away")?;
    ensure!(away <= 20, "10 s without a camera took {away} hundredths of a second");
    Ok(format!("{away} ms of processor time a second while away"))
}

/// Every frame is accounted for, by the pipeline and by the stage that took them, and no buffer was missing.
fn flow(heard: &Heard, status: &Value) -> Result<String> {
    check_account(status)?;
    let (mut sent, mut delivered, mut lost) = (0, 0, 0);
    for pipeline in list(status, "pipelines")? {
        for path in list(pipeline, "paths")? {
            sent += number(path, "sent")?;
            delivered += number(path, "delivered")?;
            lost += dropped(path)?;
        }
        for stage in list(pipeline, "stages")? {
            ensure!(number(stage, "no_buffer")? == 0, "buffers ran out: {stage}");
        }
    }
    let own = heard.own_count()?;
    ensure!(delivered > 25 && own == delivered, "{delivered} delivered, {own} by their own count");
    Ok(format!("{sent} frames = {delivered} delivered + {lost} dropped"))
}
