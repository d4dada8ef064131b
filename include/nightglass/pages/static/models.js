// Starting a retraining or a rollback through Airflow's own API, as whoever is signed in, and following its run.
"use strict";

const starts = document.getElementById("starts");

if (starts) {
  const { api, retrain, rollBack } = starts.dataset;
  const list = document.getElementById("runs");
  const followed = new Set();
  const ENDED = ["success", "failed"];
  const dagAddress = (dag) => `${api}/dags/${encodeURIComponent(dag)}`;
  const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

  // What Airflow says of a refusal: a text, or a list of wrong fields.
  const tellRefusal = async (answer, dag) => {
    if (answer.status === 401) return "You are signed in no more: load the page again and sign in.";
    if (answer.status === 403) return `You need the right to start ${dag}.`;
    if (answer.status === 404) return `Airflow has no DAG ${dag}: is the collection's file sound?`;
    const told = await answer.json().catch(() => ({}));
    const detail = Array.isArray(told.detail) ? told.detail.map((each) => each.msg).join("; ") : told.detail;
    return typeof detail === "string" ? detail : `Airflow answered ${answer.status}.`;
  };

  const ask = async (path, dag, options = {}) => {
    const answer = await fetch(path, { ...options, headers: { Accept: "application/json", ...options.headers } });
    if (!answer.ok) throw new Error(await tellRefusal(answer, dag));
    return answer.json();
  };

  const activeRuns = async (dag) => {
    const query = "state=queued&state=running&order_by=-run_after&limit=5";
    return (await ask(`${dagAddress(dag)}/dagRuns?${query}`, dag)).dag_runs;
  };

  const at = (moment) => (moment || "").slice(0, 16).replace("T", " ");

  // The DAGs run once at a time, and a paused one never starts: better to say so than to leave a run waiting.
  const findObstacle = async (dag) => {
    if ((await ask(dagAddress(dag), dag)).is_paused) {
      return `${dag} is paused: nothing would happen. Switch it on in Airflow first.`;
    }
    const [run] = await activeRuns(dag);
    if (!run) return "";
    return `A run of ${dag} is going on already, since ${at(run.run_after)} by ${run.triggering_user_name || "Airflow"}.`;
  };

  const readForm = (form) => {
    const given = new FormData(form);
    const conf = { reason: given.get("reason").trim() };
    if (form.elements.rescore) {
      conf.version = form.closest("dialog").dataset.version;
      conf.rescore = form.elements.rescore.checked;
    } else {
      conf.since = given.get("since") || null;
      conf.until = given.get("until") || null;
      conf.use_verdicts = form.elements.use_verdicts.checked;
      conf.dry_run = form.elements.dry_run.checked;
    }
    if (!conf.reason) throw new Error("Say why: the history keeps it.");
    if (conf.since && conf.until && conf.since > conf.until) throw new Error("The first night is after the last one.");
    return conf;
  };

  const start = async (dialog, form) => {
    const { dag } = dialog.dataset;
    const conf = readForm(form);
    const obstacle = await findObstacle(dag);
    if (obstacle) throw new Error(obstacle);
    const run = await ask(`${dagAddress(dag)}/dagRuns`, dag, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ logical_date: null, conf }),
    });
    follow(run);
  };

  const tellTasks = (tasks) => {
    const named = (...states) => tasks.filter((task) => states.includes(task.state)).map((task) => task.task_id);
    const [failed, asked, waiting, running] = [
      named("failed", "upstream_failed"), named("awaiting_input", "deferred"), named("up_for_reschedule"), named("running"),
    ];
    if (failed.length) return `, failed in ${failed[0]}`;
    if (asked.length) return `, waits for a person: answer its task ${asked[0]} in Airflow`;
    if (running.length) return `, at ${running[0]}`;
    return waiting.length ? `, at ${waiting[0]}, which looks again later` : "";
  };

  const champion = () => document.getElementById("champion-now").dataset.champion;

  // The page's parts as they are now; the lines about runs stay, and so does the place that the reader is at.
  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh) old.replaceWith(document.adoptNode(fresh));
    }
    prepare();
  };

  const tellEnd = async (run, before, tasks) => {
    if (run.state === "failed") return `failed${tasks.replace(", failed", "")}: the task's log in Airflow says why.`;
    await refresh();
    const now = champion();
    return now === before ? `has ended. Version ${now} is still the champion.` : `has ended. Version ${now} is the champion now.`;
  };

  const say = (line, text) => {
    if (line.textContent !== text) line.textContent = text; // an unchanged line is not read out again
  };

  const follow = async (run) => {
    const { dag_id: dag, dag_run_id: id } = run;
    if (followed.has(id)) return;
    followed.add(id);
    const before = champion();
    const path = `${dagAddress(dag)}/dagRuns/${encodeURIComponent(id)}`;
    const line = document.createElement("li");
    line.className = "card";
    list.append(line);
    list.closest("section").hidden = false;
    const about = `${dag}, started ${at(run.run_after)} by ${run.triggering_user_name || "Airflow"}`;
    say(line, `${about}: ${run.state}`);
    for (let turn = 0; ; turn += 1) {
      try {
        const now = await ask(path, dag);
        const told = await ask(`${path}/taskInstances?limit=50`, dag);
        const tasks = tellTasks(told.task_instances);
        if (ENDED.includes(now.state)) {
          line.dataset.state = now.state;
          say(line, `${about}: ${await tellEnd(now, before, tasks)}`);
          return;
        }
        say(line, `${about}: ${now.state}${tasks}`);
      } catch (error) {
        say(line, `${about}: not known at the moment. ${error.message}`);
      }
      // A retraining takes minutes, and a shadow weeks: the first minute is what somebody looks at.
      await sleep(turn < 30 && !document.hidden ? 2 : 10);
    }
  };

  const open = async (button) => {
    const dialog = document.getElementById(button.dataset.ask);
    const problem = dialog.querySelector("[role=alert]");
    dialog.dataset.version = button.dataset.version || "";
    const fill = { version: dialog.dataset.version, champion: champion() };
    for (const place of dialog.querySelectorAll("[data-fill]")) place.textContent = fill[place.dataset.fill];
    dialog.querySelector("form").reset(); // a reason that was given for another version is none for this one
    problem.hidden = true;
    dialog.showModal();
    try {
      problem.textContent = await findObstacle(dialog.dataset.dag);
    } catch (error) {
      problem.textContent = error.message;
    }
    problem.hidden = !problem.textContent;
  };

  let turns = 0;

  const prepare = () => {
    // What MLflow has not answered yet comes by itself.
    if (document.querySelector("[data-again]") && turns < 10) {
      turns += 1;
      setTimeout(() => refresh().catch(() => {}), 3000); // the page is whole without it
    }
    for (const button of document.querySelectorAll("[data-ask]")) button.hidden = false;
    for (const scroller of document.querySelectorAll(".wide")) scroller.scrollLeft = scroller.scrollWidth;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-ask]");
    if (button) open(button);
  });

  for (const dialog of document.querySelectorAll("dialog")) {
    const form = dialog.querySelector("form");
    form.addEventListener("submit", async (event) => {
      if (event.submitter && event.submitter.value === "cancel") return; // the dialog closes by itself
      event.preventDefault();
      const problem = dialog.querySelector("[role=alert]");
      const go = form.querySelector("[value=go]");
      go.disabled = true;
      try {
        await start(dialog, form);
        dialog.close();
        list.closest("section").scrollIntoView({ block: "nearest" });
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      } finally {
        go.disabled = false;
      }
    });
  }

  prepare();
  // What is going on already. Whoever may not see Airflow's runs has a page without them.
  for (const dag of [retrain, rollBack]) {
    activeRuns(dag).then((runs) => runs.forEach(follow), () => {});
  }
}
