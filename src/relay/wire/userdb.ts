/**
 * Dovecot's protocol for looking up users (auth-master, version 1), as its LMTP speaks it: lines of
 * fields with TABs between.
 */
import { escaped } from "./dict.ts";

export type UserQuestion =
  | { kind: "user"; id: string; address: string }
  | { kind: "ignored" }
  | { kind: "wrong"; why: "another version" | "unknown command" | "malformed USER" };

/** What the server says first. */
export const greeting = (pid: number) => `VERSION\t1\t3\nSPID\t${pid}\n`;

export function parseUserQuestion(line: string): UserQuestion {
  const [command, id = "", address = ""] = line.split("\t");
  if (command === "VERSION") return id === "1" ? { kind: "ignored" } : { kind: "wrong", why: "another version" };
  if (command !== "USER") return { kind: "wrong", why: "unknown command" };
  if (!/^[0-9]{1,10}$/.test(id) || address === "") return { kind: "wrong", why: "malformed USER" };
  return { kind: "user", id, address };
}

export function userFound(id: string, address: string, fields: Readonly<Record<string, string | number>>): string {
  const all = Object.entries(fields).map(([name, value]) => escaped(`${name}=${value}`));
  return `${["USER", id, escaped(address), ...all].join("\t")}\n`;
}

export const userNotFound = (id: string) => `NOTFOUND\t${id}\n`;
