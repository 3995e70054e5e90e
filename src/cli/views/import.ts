/** What an import will do or has done, for people. Pure. */
import { sizeText } from "../../lib/size-text.ts";
import type { ImportedKey } from "../../operator/identity/imported-key.ts";
import type { Difference } from "../import/chatmail-ini.ts";
import type { Counts } from "../import/send.ts";
import { harmless } from "../text/paint.ts";
import { pairs, wrapped } from "../text/table.ts";
import { valueText } from "./spec.ts";

export interface Plan {
  source: string;
  domain: string;
  counts: Counts;
  dkim: { state: "none" | "problem" | "new" | "known"; message: string };
  /** Where the server goes by other values than chatmail.ini has. */
  differences: Difference[];
  ini: { unknown: string[]; notes: string[] };
  notCarriedOver: string[];
}

export function dkimState(key: ImportedKey | undefined, selector: string): Plan["dkim"] {
  if (!key) return { state: "none", message: "no private key there: mail is signed with the server's own key" };
  if (key.kind === "problem") return { state: "problem", message: key.message };
  if (key.kind === "new")
    return { state: "new", message: `selector ${selector} signs in place of ${key.replaces.join(" and ")}` };
  const says = key.state === "Active" ? "signs already" : `is here already (${key.state})`;
  return { state: "known", message: `selector ${selector} ${says}` };
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
const parts = (of: readonly (readonly [number, string])[]) =>
  of
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${number} ${what}`)
    .join(", ");

export function planText(plan: Plan, columns: number): string {
  const { counts, differences, ini, notCarriedOver } = plan;
  const { accounts, mails, freeBytes } = counts;
  const states = parts([
    [accounts.new, "new here"],
    [accounts.changed, "changed"],
    [accounts.same, "as they are here"],
    [accounts.kept, "with a password that was changed here, which stays"],
  ]);
  const kinds = parts([
    [accounts.disabled, "disabled"],
    [accounts.blocked, "without a password (blocked)"],
    [accounts.otherPassword, "with a password that can't be checked here"],
    [accounts.strange, "more whose name is no address of the domain"],
  ]);
  const lines = pairs([
    ["source", `${harmless(plan.source)} (${plan.domain})`],
    ["accounts", [String(accounts.total), states, kinds].filter((each) => each !== "").join("; ")],
    [
      "mails",
      `${mails.total}; ${mails.wanted} to copy, ${sizeText(mails.bytes)} (${sizeText(freeBytes)} free on the volume)${mails.flags > 0 ? `; ${mails.flags} get other flags` : ""}`,
    ],
    ["DKIM", plan.dkim.message],
  ]);
  const list = (title: string, items: readonly string[]) =>
    items.length === 0
      ? ""
      : `\n${title}\n${items.map((each) => wrapped(`- ${harmless(each)}`, columns, "  ").replaceAll(/\n {2}(?=[^-\s])/g, "\n    ")).join("")}`;
  return [
    lines,
    list(
      "The server goes by other values than chatmail.ini:",
      differences.map(
        ({ field, theirs, ours }) =>
          `${field}: ${valueText(theirs)} there, ${ours === undefined ? "not set" : valueText(ours)} here`,
      ),
    ),
    list("To do by hand:", ini.notes),
    list("Unknown keys of chatmail.ini, without effect:", ini.unknown),
    list("Not carried over:", notCarriedOver),
  ].join("");
}

/** What stays behind, whatever there is. */
export function notCarriedOver(others: readonly string[], left: Counts["left"]): string[] {
  return [
    ...others,
    ...Object.entries(left).map(([name, times]) => `${count(times, "file")} ${name} in the folders of accounts`),
  ];
}

export function doneText({ accounts, mails }: Counts, name: string): string {
  const brought = parts([
    [accounts.new, "new"],
    [accounts.changed, "changed"],
  ]);
  return `${count(accounts.total, "account")}${brought === "" ? "" : ` (${brought})`}; ${count(mails.wanted, "mail")} copied, ${sizeText(mails.bytes)}\nRun it again after the other relay has stopped: only what has changed is copied then. Records to publish: kubectl chatmail dns ${name}\n`;
}
