/** The plugin as users have it: its bundle, which kubectl finds on PATH and runs. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { bundlePlugin } from "../../scripts/plugin.ts";
import type { Called } from "./plugin.ts";

export interface RunOptions {
  environment?: Readonly<Record<string, string>>;
  /** Once it has printed this, it is interrupted as by Ctrl-C. */
  interruptAfter?: RegExp;
}

export class KubectlPlugin {
  /** Where calls run, and their files are. */
  readonly folder: string;

  static async open(): Promise<KubectlPlugin> {
    const plugin = new KubectlPlugin();
    await bundlePlugin(join(plugin.folder, "bin"), "1.2.3");
    symlinkSync("kubectl-chatmail.mjs", join(plugin.folder, "bin/kubectl-chatmail"));
    return plugin;
  }

  private constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "kubectl-plugin-"));
  }

  /** `words` as after `kubectl chatmail`. */
  call(words: readonly string[], options: RunOptions = {}): Promise<Omit<Called, "bytes">> {
    return this.run("kubectl", ["chatmail", ...words], options);
  }

  /** Any program that may call the plugin. */
  run(
    program: string,
    words: readonly string[],
    { environment, interruptAfter }: RunOptions = {},
  ): Promise<Omit<Called, "bytes">> {
    const PATH = [join(this.folder, "bin"), dirname(process.execPath), process.env.PATH].join(delimiter);
    const env = { ...process.env, PATH, HOME: this.folder, ...environment };
    return new Promise((resolve, reject) => {
      const child = spawn(program, words, { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] });
      const called = { code: 0, out: "", err: "" };
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        called.out += text;
        if (interruptAfter?.test(called.out)) child.kill("SIGINT");
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        called.err += text;
      });
      child.on("error", reject);
      child.on("close", (code, signal) =>
        signal ? reject(new Error(signal)) : resolve({ ...called, code: code ?? 0 }),
      );
    });
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
