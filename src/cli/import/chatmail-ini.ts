/** chatmail.ini, the configuration of a relay of cmdeploy, and the spec that goes by it. Pure. */
import { ChatmailServerSpec, type WrittenSpec } from "../../api/chatmail-server.ts";
import { amountOf, mebibytes } from "../../api/quantity.ts";
import { resolve } from "../../api/resolve.ts";
import { issueTexts } from "../../lib/issues.ts";

/** By key, as the section [params] has them. */
export type Ini = ReadonlyMap<string, string>;

/** Comments are whole lines; an indented line goes on with the value before it. */
export function readIni(text: string): Ini {
  const values = new Map<string, string>();
  let section = "";
  let last: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue;
    const header = /^\[([^\]]*)\]\s*$/.exec(line)?.[1];
    const [, key, value = ""] = /^([^\s=:][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (header !== undefined) {
      section = header.trim();
      last = undefined;
    } else if (/^\s/.test(line)) {
      if (last !== undefined) values.set(last, `${values.get(last) ?? ""} ${line.trim()}`.trim());
    } else if (key !== undefined) {
      last = section === "params" || section === "" ? key : `[${section}] ${key}`;
      values.set(last, value);
    }
  }
  return values;
}

/** What becomes of one key: fields of the spec by their paths, or a note for a person. */
type Outcome = { fields: Record<string, unknown> } | { note: string } | undefined;

const number = (field: string) => (value: string) => ({
  fields: { [field]: /^-?\d+$/.test(value) ? Number(value) : value },
});
const text = (field: string) => (value: string) => (value === "" ? undefined : { fields: { [field]: value } });
const size = (field: string) => (value: string) => ({ fields: { [field]: sizeOf(value) ?? value } });
const note = (says: string) => () => ({ note: says });
const noteIfSet = (says: string) => (value: string) => (value === "" ? undefined : { note: says });
/** Of the other machine alone. */
const ofMachine = () => undefined;

/** "500M", "1G", "200" (megabytes), each with a B behind it or not. */
function sizeOf(value: string): string | undefined {
  const [, count, unit = "M"] = /^(\d{1,9})([MG]?)B?$/.exec(value.trim().toUpperCase()) ?? [];
  if (count === undefined) return undefined;
  return mebibytes(Number(count) * (unit === "G" ? 1024 : 1));
}

const bytes = (field: string) => (value: string) => {
  const count = Number(value);
  return { fields: { [field]: count > 0 && count % 2 ** 20 === 0 ? mebibytes(count / 2 ** 20) : value } };
};

const isTrue = (value: string) => value.toLowerCase() === "true";

const keys: Readonly<Record<string, (value: string) => Outcome>> = {
  mail_domain: text("domain"),
  max_user_send_per_minute: number("accounts.sendRatePerMinute"),
  max_user_send_burst_size: number("accounts.sendBurst"),
  max_mailbox_size: size("accounts.mailboxQuota"),
  max_message_size: bytes("messages.maxSize"),
  delete_mails_after: number("messages.deleteAfterDays"),
  delete_large_after: number("messages.deleteLargeAfterDays"),
  delete_inactive_users_after: number("accounts.deleteInactiveAfterDays"),
  username_min_length: number("accounts.usernameMinLength"),
  username_max_length: number("accounts.usernameMaxLength"),
  password_min_length: number("accounts.passwordMinLength"),
  max_load_1m: (value) =>
    Number(value) === 5
      ? undefined
      : { note: "is of the whole machine: set accounts.refuseNew.loadPerCoreAbove, which is per core" },
  min_available_memory: size("accounts.refuseNew.memoryBelow"),
  min_free_disk_space: size("accounts.refuseNew.diskBelow"),
  max_imap_connections: number("network.connections.imap"),
  max_smtp_connections: number("network.connections.submission"),
  www_folder: noteIfSet("put your pages into a ConfigMap and name it in website.configMapName"),
  tls_external_cert_and_key: noteIfSet(
    "put certificate and key into a Secret, and set certificate.source Secret and certificate.secret.name",
  ),
  acme_email: text("certificate.acme.email"),
  disable_ipv6: (value) => (isTrue(value) ? { fields: { "network.ipFamilyPolicy": "SingleStack" } } : undefined),
  iroh_relay: (value) => (value === "" ? undefined : { fields: { "services.iroh.url": value.replace(/\/$/, "") } }),
  mtail_address: noteIfSet("metrics are at port 9090 of the pod: network.policy.metricsFrom says who may read them"),
  imap_rawlog: (value) => (isTrue(value) ? { note: "protocol logs of users are never written" } : undefined),
  imap_compress: (value) => (isTrue(value) ? { note: "IMAP COMPRESS is not offered: sessions hibernate" } : undefined),
  privacy_postal: text("privacy.postal"),
  privacy_mail: text("privacy.mail"),
  privacy_pdo: text("privacy.dataOfficer"),
  privacy_supervisor: text("privacy.supervisor"),
  passthrough_senders: noteIfSet("there are no exceptions from encryption"),
  passthrough_recipients: noteIfSet("there are no exceptions from encryption"),
  turn_socket_path: note("for calls, set services.turn.enabled and open its ports (docs/calls.md)"),
  filtermail_smtp_port: ofMachine,
  filtermail_smtp_port_incoming: ofMachine,
  filtermail_http_port_incoming: ofMachine,
  filtermail_lmtp_port_transport: ofMachine,
  filtermail_host: ofMachine,
  postfix_host: ofMachine,
  postfix_reinject_port: ofMachine,
  postfix_reinject_port_incoming: ofMachine,
  mailboxes_dir: ofMachine,
  passdb_path: ofMachine,
};

export interface IniSpec {
  /** Values that differ from the built-in ones, and the domain. */
  spec: Partial<WrittenSpec>;
  /** All values, by the paths of their fields. */
  fields: Readonly<Record<string, unknown>>;
  /** Keys that this project does not know. */
  unknown: string[];
  /** What a person has to do or know. */
  notes: string[];
}

/** `closed`: the relay makes no addresses. */
export function specOfIni(ini: Ini, { closed = false } = {}): IniSpec {
  const result: IniSpec = { spec: {}, fields: {}, unknown: [], notes: [] };
  const domain = ini.get("mail_domain") ?? "";
  const base = { domain };
  const valid: Record<string, unknown> = {};
  for (const [key, value] of ini) {
    const read = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (!read) {
      result.unknown.push(key);
      continue;
    }
    const outcome = read(value);
    if (!outcome) continue;
    if ("note" in outcome) result.notes.push(`${key} = ${value}: ${outcome.note}`);
    else
      for (const [field, wanted] of Object.entries(outcome.fields)) {
        const problem = problemOf({ ...base, ...nested({ [field]: wanted }) });
        if (problem === undefined) valid[field] = wanted;
        else if (field !== "domain") result.notes.push(`${key} = ${value}: left out. ${problem}`);
        else result.notes.push(`${key} = ${value}: ${problem}`);
      }
  }
  if (closed) valid["accounts.registration"] = "Closed";
  result.fields = { ...valid };
  const builtIn = ChatmailServerSpec.safeParse(base).data;
  for (const [field, value] of Object.entries(valid))
    if (field !== "domain" && sameValue(valueAt(builtIn, field), value)) delete valid[field];
  result.spec = nested(valid);
  // with the built-in values of what is left out
  const together = resolve(ChatmailServerSpec, [{ from: "spec", values: { ...base, ...result.spec } }]);
  if ("issues" in together && domain !== "")
    result.notes.push(`values of chatmail.ini that do not go together: ${issueTexts(together)}`);
  return result;
}

function problemOf(spec: object): string | undefined {
  const parsed = ChatmailServerSpec.safeParse(spec);
  if (parsed.success) return undefined;
  return issueTexts(parsed.error);
}

/** "1Gi" is "1024Mi". */
const sameValue = (one: unknown, other: unknown) =>
  String(one) === String(other) || amountOf(String(one)) === amountOf(String(other));

/** "a.b.c": the value there. */
function valueAt(of: unknown, field: string): unknown {
  return field
    .split(".")
    .reduce<unknown>((at, name) => (typeof at === "object" && at ? (at as never)[name] : undefined), of);
}

/** {"a.b": 1} as {a: {b: 1}}. */
function nested(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) {
    const names = field.split(".");
    const last = names.pop() ?? "";
    let at = all;
    for (const name of names) {
      at[name] ??= {};
      at = at[name] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return all;
}

export interface Difference {
  field: string;
  /** What chatmail.ini asks for, and what the server has; undefined: the built-in value. */
  theirs: unknown;
  ours: unknown;
}

/** Where the server goes by other values than chatmail.ini has. */
export function differences({ fields }: Pick<IniSpec, "fields">, ours: ChatmailServerSpec): Difference[] {
  return Object.entries(fields)
    .map(([field, theirs]) => ({ field, theirs, ours: valueAt(ours, field) }))
    .filter((each) => each.field !== "domain" && !sameValue(each.theirs, each.ours));
}
