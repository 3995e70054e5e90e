import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { completionOf, completionText } from "../../../src/cli/completion.ts";
import { CliError, exitOf } from "../../../src/cli/exit.ts";
import { programOf, verbs } from "../../../src/cli/program.ts";
import { ageText, durationText, secondsIn } from "../../../src/cli/text/duration.ts";
import { harmless, paintFor } from "../../../src/cli/text/paint.ts";
import { progressOn } from "../../../src/cli/text/progress.ts";
import { pairs, table, wrapped } from "../../../src/cli/text/table.ts";
import { ApiError } from "../../../src/kube/client.ts";
import { callPlugin } from "../../helpers/plugin.ts";

const apiError = (status: number) => new ApiError({ status, reason: "x", message: "said so" });

describe("how a call ends", () => {
  test.each([
    { thrown: new CliError("usage", "no"), exit: "usage" },
    { thrown: apiError(401), exit: "unreachable" },
    { thrown: apiError(403), exit: "forbidden" },
    { thrown: apiError(404), exit: "missing" },
    { thrown: apiError(422), exit: "failed" },
    { thrown: Object.assign(new Error("no route"), { code: "EHOSTUNREACH" }), exit: "unreachable" },
    { thrown: Object.assign(new Error("no file"), { code: "ENOENT", syscall: "open" }), exit: "failed" },
    { thrown: Object.assign(new Error("a folder"), { code: "EISDIR", syscall: "read" }), exit: "failed" },
    { thrown: Object.assign(new Error("no socket"), { code: "ENOENT", syscall: "connect" }), exit: "unreachable" },
    { thrown: Object.assign(new Error("no program"), { code: "ENOENT", syscall: "spawn x" }), exit: "unreachable" },
    { thrown: new TypeError("a bug"), exit: "failed" },
  ])("$thrown.message: $exit", ({ thrown, exit }) => {
    expect(exitOf(thrown).exit).toBe(exit);
  });

  test.each([
    { words: ["--help"], code: 0, out: /Usage: kubectl-chatmail/ },
    { words: ["help", "dns"], code: 0, out: /--zone/ },
    { words: ["--version"], code: 0, out: /^dev\n$/ },
    { words: [], code: 2, err: /Usage/ },
    { words: ["satus"], code: 2, err: /Did you mean status/ },
    { words: ["dns"], code: 2, err: /missing required argument 'name'/ },
    { words: ["status", "-o", "xml"], code: 2, err: /wide, json, yaml/ },
    { words: ["dns", "nine", "--zone", "--form"], code: 2, err: /choose one/ },
    { words: ["status", "--as-group", "g"], code: 2, err: /needs --as/ },
  ])("$words: $code", async ({ words, code, out = /^/, err = /^/ }) => {
    const called = await callPlugin(words, { environment: { HOME: "/nonexistent" } });
    expect(called.code).toBe(code);
    expect(called.out).toMatch(out);
    expect(called.err).toMatch(err);
  });
});

describe("kubeconfigs that can't be used", () => {
  const folder = mkdtempSync(join(tmpdir(), "plugin-"));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  let context: string;
  beforeAll(() => {
    const contexts = [{ name: "home", context: { cluster: "away", user: "me" } }];
    context = file("config", JSON.stringify({ contexts, "current-context": "home" }));
    file("broken", "{");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    { when: "there is none", words: [], says: /there is no kubeconfig: .*\.kube.config/ },
    { when: "the file is missing", words: ["--kubeconfig", "/nonexistent/k"], says: /\/nonexistent\/k does not exist/ },
    { when: "it is broken", words: ["--kubeconfig", join(folder, "broken")], says: /broken can't be read/ },
    {
      when: "the context is unknown",
      words: ["--context", "work"],
      config: true,
      says: /no context work; it has home/,
    },
    { when: "the cluster is missing", words: [], config: true, says: /no cluster for its context home/ },
  ])("$when", async ({ words, says, config }) => {
    const environment = { HOME: folder, ...(config && { KUBECONFIG: context }) };
    const called = await callPlugin(["status", ...words], { environment });
    expect(called).toMatchObject({ code: 6, out: "", err: expect.stringMatching(says) as unknown });
  });
});

describe("completion", () => {
  const offered = (...words: string[]) => {
    const completion = completionOf(programOf(), words);
    return "words" in completion ? completion.words.map(({ word }) => word) : completion.objects;
  };
  test.each([
    { words: ["st"], offers: ["status"] },
    { words: ["status", ""], offers: "servers" },
    { words: ["status", "nine", ""], offers: "servers" },
    { words: ["dns", "nine", ""], offers: [] },
    { words: ["-n", "mail", "dns", ""], offers: "servers" },
    { words: ["dns", "--z"], offers: ["--zone"] },
    { words: ["status", "-n", ""], offers: "namespaces" },
    { words: ["status", "-o", "j"], offers: ["json"] },
    { words: ["completion", ""], offers: ["kubectl", "bash"] },
    { words: ["invite", "nine", "--png", ""], offers: [] },
  ])("$words: $offers", ({ words, offers }) => {
    expect(offered(...words)).toEqual(offers);
  });

  test("as cobra writes it", () => {
    const words = [{ word: "dns", about: "records" }, { word: "nine" }];
    expect(completionText({ words, files: false })).toBe("dns\trecords\nnine\n:4\n");
    expect(completionText({ words: [], files: true })).toBe(":0\n");
  });
});

test("every verb has a summary, a description and its rights", () => {
  const { commands } = programOf();
  expect(commands).toHaveLength(verbs.length);
  for (const verb of commands) {
    expect(verb.summary(), verb.name()).toMatch(/^[a-z].*[^.]$/);
    expect(verb.description(), verb.name()).toMatch(/^[A-Z].*\.$/s);
  }
});

describe("text", () => {
  test.each([
    { isTerminal: true, environment: {}, is: "\u001b[31mx\u001b[39m" },
    { isTerminal: true, environment: { NO_COLOR: "1" }, is: "x" },
    { isTerminal: true, environment: { NO_COLOR: "" }, is: "\u001b[31mx\u001b[39m" },
    { isTerminal: true, environment: { TERM: "dumb" }, is: "x" },
    { isTerminal: false, environment: {}, is: "x" },
  ])("terminal $isTerminal, $environment", ({ isTerminal, environment, is }) => {
    expect(paintFor({ isTerminal }, environment)("bad", "x")).toBe(is);
  });

  test("columns that are empty are left out, and colours have no width", () => {
    expect(
      table(
        ["A", "B", "C"],
        [
          ["\u001b[31mx\u001b[39m", "", "1"],
          ["long", "", "2"],
        ],
      ),
    ).toBe("A      C\n\u001b[31mx\u001b[39m      1\nlong   2\n");
    expect(
      pairs([
        ["a", "1"],
        ["long", undefined],
        ["bc", "2"],
      ]),
    ).toBe("a:   1\nbc:  2\n");
    expect(wrapped("one two three", 8, "  ")).toBe("  one\n  two\n  three\n");
  });

  test("what a terminal would take for a command is not passed on", () => {
    expect(harmless("a\u001b]0;x\u0007b\r\nc\td\u009b")).toBe("a�]0;x�b�\nc\td�");
  });

  test.each([
    { ms: 999, text: "0s" },
    { ms: 119_000, text: "119s" },
    { ms: 120_000, text: "2m" },
    { ms: 47 * 3_600_000, text: "47h" },
    { ms: 48 * 3_600_000, text: "2d" },
    { ms: -5, text: "0s" },
  ])("$ms ms are $text", ({ ms, text }) => {
    expect(durationText(ms)).toBe(text);
  });

  test("ages, and durations that a user writes", () => {
    expect(ageText(undefined, new Date())).toBe("");
    expect(ageText("nonsense", new Date())).toBe("");
    expect(["90", "10m", "2h", "1d", "", "1w", "-3"].map(secondsIn)).toEqual([
      90,
      600,
      7_200,
      86_400,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("progress is one line on a terminal, and a line for each step elsewhere", () => {
    const plain = (_: string, text: string) => text;
    const written = (isTerminal: boolean) => {
      let text = "";
      const write = (more: string) => {
        text += more;
      };
      const progress = progressOn({ write, isTerminal, columns: isTerminal ? 20 : undefined }, plain);
      for (const at of ["one", "one", "two"]) progress.at(at);
      progress.end();
      return text;
    };
    expect(written(false)).toBe("one\ntwo\n");
    expect(written(true)).toBe("\r\u001b[2Kone\r\u001b[2Ktwo\r\u001b[2K");
  });
});
