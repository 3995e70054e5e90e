/** `doctor`: examines a server and what is around it. */
import { type Finding, findingsOf, type Level } from "../doctor/findings.ts";
import { lookAt } from "../doctor/look.ts";
import { readServer } from "../objects.ts";
import { harmless, type Paint, type Tone } from "../text/paint.ts";
import { wrapped } from "../text/table.ts";
import { serverWord, type Verb } from "../verb.ts";

interface DoctorOptions {
  mailHost: string;
  network: boolean;
}

export const doctor: Verb = {
  rights: [
    "get `chatmailservers`",
    "for all checks: get `leases`, `namespaces`, `persistentvolumeclaims`, `storageclasses`, list `deployments`, get and create `pods/exec`; what may not be seen is told as unknown",
  ],
  add(program, action) {
    program
      .command("doctor")
      .summary("examine a server and what is around it; each finding says how to cure it")
      .description(
        "Goes through cluster, operator, clocks, Pod Security, storage, settings of the node, addresses, port 25 out and in, DNS, reverse names and certificate. Some of it is seen from within the relay pod, some from this computer. Ends with 3 if there is a problem.",
      )
      .argument(...serverWord)
      .option("--mail-host <host>", "whose port 25 the pod tries", "gmail-smtp-in.l.google.com")
      .option("--no-network", "don't try the ports of the relay from this computer")
      .action(
        action<[string], DoctorOptions>(async (session, [name], { mailHost, network: fromHere }) => {
          const server = await readServer(session, name);
          const findings = findingsOf(await lookAt(session, server, { mailHost, fromHere }));
          const columns = session.around.out.columns ?? 100;
          session.show({ findings }, () => textOf(findings, session.paint, columns));
          return findings.some(({ level }) => level === "problem") ? "wrong" : "done";
        }),
      );
  },
};

const tones: Readonly<Record<Level, Tone>> = { problem: "bad", warning: "doubtful", unknown: "doubtful", fine: "good" };
const marks: Readonly<Record<Level, string>> = {
  problem: "PROBLEM",
  warning: "WARNING",
  unknown: "UNKNOWN",
  fine: "ok",
};

function textOf(findings: readonly Finding[], paint: Paint, columns: number): string {
  const blocks = findings.map(({ check, level, says, cure }) => {
    const head = `${paint(tones[level], marks[level].padEnd(8))}${check}: `;
    const text = wrapped(harmless(says), columns, "        ").trimStart();
    return head + text + (cure ? wrapped(`→ ${harmless(cure)}`, columns, "        ") : "");
  });
  const count = findings.filter(({ level }) => level === "problem").length;
  return `${blocks.join("")}\n${count === 0 ? "no problem was found" : `${count} ${count === 1 ? "problem" : "problems"}`}\n`;
}
