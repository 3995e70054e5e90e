/** `invite`: how people join, and invites that are made and revoked. */
import qrcode from "qrcode";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import { invitePage } from "../../mail/invite.ts";
import { newToken } from "../../operator/identity/table.ts";
import { CliError } from "../exit.ts";
import { readServer } from "../objects.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";
import { freeKey, type Invite, inviteOf, invitesIn, isKey, keyOfInvite, openInvite } from "../views/invites.ts";

interface InviteOptions {
  new?: string | true;
  revoke?: string;
  png?: string;
  qr?: boolean;
}

export const invite: Verb = {
  rights: [
    "get `chatmailservers`",
    "if registration requires an invite: get `secrets`; with `--new` and `--revoke`: patch",
  ],
  add(program, action) {
    program
      .command("invite")
      .summary("how people join: link, page and QR code; make and revoke invites")
      .description(
        "Shows the links by which people join, with a QR code if the answer goes to a terminal. If registration requires an invite, this needs the right to get the Secret of invites, and --new and --revoke the right to patch it.",
      )
      .argument(...serverWord)
      .option("--new [key]", "make another invite, under this key of the Secret")
      .option("--revoke <key>", "revoke an invite, by its key, token or link; it takes effect within seconds")
      .option("--png <file>", "write the QR code of the first invite shown into this file")
      .option("--qr", "show the QR code also if the answer does not go to a terminal")
      .option("--no-qr", "show no QR code")
      .action(
        action<[string], InviteOptions>(async (session, [name], options) => {
          if (options.new !== undefined && options.revoke !== undefined)
            throw new CliError("usage", "--new and --revoke: choose one of the two");
          const server = await readServer(session, name);
          if (options.revoke !== undefined) return revoke(session, server, options.revoke);
          const invites =
            options.new === undefined ? await all(session, server) : [await make(session, server, options.new)];
          const [first] = invites;
          if (!first)
            throw new CliError("missing", `Secret ${secretNameOf(server)} has no invite: make one with --new`);
          const code = first.page?.includes("/i/") ? first.page : (first.link ?? first.page ?? "");
          if (options.png !== undefined)
            await session.around.writeFile(options.png, await qrcode.toBuffer(code, { scale: 8 }));
          const isShown = options.qr ?? session.around.out.isTerminal;
          const type = session.around.out.isTerminal ? "terminal" : "utf8";
          const picture = isShown && !session.isForPrograms ? await qrcode.toString(code, { type, small: true }) : "";
          session.show({ invites }, () => textOf(invites, picture));
          return "done";
        }),
      );
  },
};

function textOf(invites: readonly Invite[], picture: string): string {
  const lines = invites.flatMap(({ key, link, page }) => {
    const given = [page, link].filter((each) => each !== undefined);
    return key === undefined ? given : [`${key}:`, ...given.map((each) => `  ${each}`)];
  });
  return `${lines.join("\n")}\n${picture && `${picture.replace(/\n*$/, "")}\n`}`;
}

/** Undefined where registration needs no invite. */
const secretNameOf = ({ status }: WrittenServer) => status?.invite?.secretName;

async function all(session: Session, server: WrittenServer): Promise<Invite[]> {
  const open = openInvite(server);
  if (open) return [open];
  return invitesIn(server.spec.domain, await dataOf(session, server));
}

/** Throws where there is no Secret of invites. */
async function dataOf(session: Session, server: WrittenServer): Promise<Readonly<Record<string, string>>> {
  const name = secretNameOf(server);
  const { namespace = "" } = server.metadata;
  if (name === undefined)
    throw new CliError(
      "missing",
      openInvite(server)
        ? "registration is Open: everybody may join without an invite"
        : "nobody can join: registration is Closed, or the operator has not looked at the server yet",
    );
  const client = await session.client();
  const secret = await client.get<Secret>(resources.secret, { namespace, name }, session.signal);
  if (!secret) throw new CliError("missing", `Secret ${name} does not exist`);
  return secret.data ?? {};
}

async function make(session: Session, server: WrittenServer, given: string | true): Promise<Invite> {
  const data = await dataOf(session, server);
  const key = given === true ? freeKey(Object.keys(data)) : given;
  if (!isKey(key)) throw new CliError("usage", `--new ${key}: a key has letters, digits, -, _ and . only`);
  if (key in data)
    throw new CliError("failed", `there is an invite ${key} already: choose another key, or revoke it first`);
  const token = newToken();
  await patch(session, server, { stringData: { [key]: invitePage(server.spec.domain, token) } });
  return inviteOf(server.spec.domain, key, token);
}

async function revoke(session: Session, server: WrittenServer, named: string) {
  const data = await dataOf(session, server);
  const key = keyOfInvite(server.spec.domain, data, named);
  if (key === undefined)
    throw new CliError("missing", `there is no invite ${named}; there are ${Object.keys(data).join(", ")}`);
  await patch(session, server, { data: { [key]: null } });
  session.show({ revoked: key }, () => `revoked ${key}\n`);
  if (Object.keys(data).length === 1) session.note("no invite is left: nobody can join until you make one with --new");
  return "done" as const;
}

async function patch(session: Session, server: WrittenServer, change: object): Promise<void> {
  const client = await session.client();
  const at = { namespace: server.metadata.namespace ?? "", name: secretNameOf(server) ?? "" };
  await client.merge(resources.secret, at, change, session.signal);
}
