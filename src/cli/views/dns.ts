/** The DNS records of a server: what is missing first. Pure. */
import type { ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { harmless, type Paint, type Tone } from "../text/paint.ts";
import { table } from "../text/table.ts";

type DnsStatus = NonNullable<ChatmailServerStatus["dns"]>;
type Row = NonNullable<DnsStatus["records"]>[number];
type State = NonNullable<Row["state"]>;

const order: readonly State[] = ["NotOurs", "Different", "Missing", "Unknown", "Published"];
const tones: Readonly<Record<State, Tone>> = {
  NotOurs: "bad",
  Different: "bad",
  Missing: "bad",
  Unknown: "doubtful",
  Published: "good",
};

const stateOf = ({ state }: Pick<Row, "state">): State => state ?? "Unknown";

/** What has to be done first comes first. */
export const inOrder = (records: readonly Row[]): Row[] =>
  records.toSorted((one, other) => rankOf(one) - rankOf(other) || one.name.localeCompare(other.name));
const rankOf = (row: Row) =>
  order.indexOf(stateOf(row)) + (row.need === "Required" || stateOf(row) === "Published" ? 0 : 0.5);

/** Whether mail fails for want of a record. */
export const lacksRequired = (dns: DnsStatus | undefined): boolean =>
  !dns?.records || dns.records.some((row) => row.need === "Required" && stateOf(row) !== "Published");

export function dnsTable(dns: DnsStatus | undefined, { paint, wide }: { paint: Paint; wide: boolean }): string {
  const records = inOrder(dns?.records ?? []);
  const reverse = dns?.reverse ?? [];
  const rows = records.map((row) => {
    const state = stateOf(row);
    const shown = [row.need, row.type, row.name, row.values.join("  "), (row.seen ?? []).join("  ")].map(harmless);
    return [paint(tones[state], state), ...shown, wide ? (row.at ?? []).join(", ") : ""];
  });
  const reverseRows = reverse.map(({ address, want, seen, state }) => {
    const shown = [address, want, seen ?? ""].map(harmless);
    return [paint(state === "Published" ? "good" : "doubtful", state), "Wished for", "PTR", ...shown, ""];
  });
  const list = table(["STATE", "NEED", "TYPE", "NAME", "VALUE", "SEEN", "AT"], [...rows, ...reverseRows]);
  const missing = records.filter((row) => stateOf(row) !== "Published");
  const required = missing.filter(({ need }) => need === "Required").length;
  const about = [dns?.zone && `zone ${dns.zone}`, dns?.nameServers && `at ${dns.nameServers.join(", ")}`];
  const where = about.filter(Boolean).join(" ");
  const say =
    records.length === 0
      ? "the operator has not written the records yet"
      : missing.length === 0
        ? "all records are published"
        : `${required} required and ${missing.length - required} recommended records are not published as they have to be`;
  return `${list}\n${say}${where ? ` (${harmless(where)})` : ""}\n`;
}
