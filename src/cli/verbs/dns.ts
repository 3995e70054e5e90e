/** `dns`: what is missing in the zone, and its text. */
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { type ConfigMap, resources } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/object.ts";
import { CliError } from "../exit.ts";
import { readServer, servers } from "../objects.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";
import { dnsTable, lacksRequired } from "../views/dns.ts";
import { watchOne } from "../watch-one.ts";

interface DnsOptions {
  zone?: boolean;
  form?: boolean;
  watch?: boolean;
}

export const dns: Verb = {
  rights: ["get `chatmailservers`; with `--watch`: list, watch", "with `--zone` and `--form`: get `configmaps`"],
  add(program, action) {
    program
      .command("dns")
      .summary("which DNS records are missing, and what to publish")
      .description(
        "Shows each record of the domain: what is missing or different first, and what stands there instead. Ends with 3 if a required record is not published.",
      )
      .argument(...serverWord)
      .option("--zone", "print the records as text of a zone file")
      .option("--form", "print the records one field a line, to copy into the form of a registrar")
      .option("-w, --watch", "show the records again whenever they change, until the required ones are published")
      .action(
        action<[string], DnsOptions>(async (session, [name], { zone, form, watch }) => {
          if (zone && form) throw new CliError("usage", "--zone and --form: choose one of the two");
          if (zone || form) return printText(session, name, zone ? "records.zone" : "records.txt");
          const server = await readServer(session, name);
          if (watch) return watchRecords(session, server);
          showRecords(session, server);
          return lacksRequired(server.status?.dns) ? "wrong" : "done";
        }),
      );
  },
};

function showRecords(session: Session, { status }: Pick<WrittenServer, "status">): void {
  const { paint, isWide: wide } = session;
  session.show(status?.dns ?? {}, () => dnsTable(status?.dns, { paint, wide }));
}

async function printText(session: Session, server: string, key: string) {
  const client = await session.client();
  const name = childNames(server).dnsConfigMap;
  const at = { namespace: await session.namespace(), name };
  const found = await client.get<ConfigMap>(resources.configMap, at, session.signal);
  const text = found?.data?.[key];
  if (text !== undefined) {
    session.print(text);
    return "done" as const;
  }
  await readServer(session, server);
  throw new CliError("missing", `the operator has not written the records yet: there is no ConfigMap ${name}`);
}

async function watchRecords(session: Session, { metadata: { namespace = "", name } }: WrittenServer) {
  const client = await session.client();
  let before = "";
  for await (const found of watchOne<KubeObject & WrittenServer>(
    client,
    servers,
    { namespace, name },
    session.signal,
  )) {
    if (!found) throw new CliError("missing", `ChatmailServer ${name} was deleted`);
    const text = JSON.stringify(found.status?.dns);
    if (text === before) continue;
    before = text;
    showRecords(session, found);
    if (!lacksRequired(found.status?.dns)) return "done" as const;
  }
  return "done" as const;
}
