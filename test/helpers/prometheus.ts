/** A real Prometheus (Debian's package) as a plain process, and its tool for rules and metrics. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { missingPackages } from "../lab/packages.ts";
import { freePort } from "./free-port.ts";
import { prometheusPackages } from "./suite-packages.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export function prometheusIsMissing(): string | undefined {
  const missing = missingPackages(prometheusPackages);
  return missing.length === 0 || process.env.REQUIRE_ALL === "1"
    ? undefined
    : `these packages are not installed: ${missing.join(" ")}`;
}

/** Exit code and all that it printed; `input` is what it reads. */
export function promtool(args: readonly string[], input = ""): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    const child = execFile("promtool", args, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, text: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

export interface Target {
  job: string;
  /** host:port */
  address: string;
  labels?: Record<string, string>;
}

export class Prometheus {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #url: string;
  #log = "";

  private constructor(child: ChildProcess, folder: string, url: string) {
    this.#child = child;
    this.#folder = folder;
    this.#url = url;
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => (this.#log += text));
  }

  /**
   * Scrapes every few seconds, which is also how long an answer may take. `rules`: as a file of
   * rules has them. Resolves when it answers.
   */
  static async start(options: {
    targets: readonly Target[];
    rules: object;
    scrapeSeconds?: number;
  }): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), "prometheus-"));
    const port = await freePort();
    const every = `${options.scrapeSeconds ?? 5}s`;
    const config = {
      global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: "1s" },
      rule_files: ["rules.yaml"],
      scrape_configs: options.targets.map(({ job, address, labels = {} }) => ({
        job_name: job,
        honor_labels: true,
        static_configs: [{ targets: [address], labels }],
      })),
    };
    writeFileSync(join(folder, "rules.yaml"), stringify(options.rules));
    writeFileSync(join(folder, "prometheus.yaml"), stringify(config));
    const child = spawn(
      "prometheus",
      [
        `--config.file=${join(folder, "prometheus.yaml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const prometheus = new Prometheus(child, folder, `http://127.0.0.1:${port}`);
    const answers = async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok;
    await until("Prometheus to answer", answers, { patienceMs: patienceMs.pod }).catch(async (thrown) => {
      const said = prometheus.#log;
      await prometheus.stop();
      throw new Error(`${String(thrown)}\n${said}`, { cause: thrown });
    });
    return prometheus;
  }

  /** Throws with its words where it does not understand the question. */
  async query(expr: string): Promise<Sample[]> {
    const answer = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent(expr)}`);
    const { status, error, data } = (await answer.json()) as {
      status: string;
      error?: string;
      data?: { resultType: string; result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (status !== "success" || !data) throw new Error(`${expr}: ${error}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Names of the alerts that fire now. */
  async firing(): Promise<string[]> {
    const answer = await fetch(`${this.#url}/api/v1/alerts`);
    const { data } = (await answer.json()) as {
      data: { alerts: { state: string; labels: Record<string, string> }[] };
    };
    return data.alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname ?? "");
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
