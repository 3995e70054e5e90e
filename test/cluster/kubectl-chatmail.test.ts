/**
 * A day with `kubectl chatmail`: each verb that needs a relay, as an administrator calls it, on one
 * relay. Backups, imports and fleets have stories of their own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import type readQrCode from "jsqr";
import { PNG } from "pngjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { kubectl, kubectlJson } from "../helpers/kubectl.ts";
import { KubectlPlugin, type RunOptions } from "../helpers/kubectl-plugin.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import {
  freshServer,
  namespace,
  operatorIsInstalled,
  patchServer,
  podOf,
  removeServer,
  serverReady,
} from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";

// a module of CommonJS, whose types say that it is none
const jsqr = createRequire(import.meta.url)("jsqr") as typeof readQrCode.default;

const domain = "_desk.test";
/** Its mail exchanger has an address that nobody has. */
const silent = "silent.test";
const pod = podOf("desk");

let plugin: KubectlPlugin;
let server: WrittenServer;
let invited: DeltaChatClient | undefined;
let user: { address: string; password: string };

const chatmail = (words: string, options?: RunOptions) => plugin.call([...words.split(" "), "-n", namespace], options);
const well = async (words: string) => {
  const called = await chatmail(words);
  expect(called.code, `${words}: ${called.err}`).toBe(0);
  return called.out;
};
const json = async <T>(words: string) => JSON.parse(await well(`${words} -o json`)) as T;
/** Waits until a call prints what it has to. */
const says = async (words: string, what: RegExp) => {
  let said = "";
  const isSaid = async () => {
    said = (await chatmail(words)).out;
    return what.exec(said) ?? undefined;
  };
  return until(`${words} to say ${what}`, isSaid, { patienceMs: patienceMs.pod, everyMs: 300 }).catch((thrown) => {
    throw new Error(`${String(thrown)}; it says ${said}`, { cause: thrown });
  });
};

const login = async ({ address, password } = user) => {
  const client = await ImapClient.open({ host: domain, port: ports.imaps });
  const { status } = await client.login(address, password);
  await client.logout();
  return status;
};

const onlooker = ["rolebinding/onlooker", "serviceaccount/onlooker"];
const onlookerAway = ["-n", namespace, "delete", ...onlooker, "--ignore-not-found"];

beforeAll(async () => {
  plugin = await KubectlPlugin.open();
  await operatorIsInstalled();
  server = await freshServer("desk", { domain, accounts: { registration: "Invite" } });
  await publishZone(silent, "@ MX 10 mx\nmx A 198.51.100.250");
  const areSeen = async () => (await chatmail("dns desk")).code === 0;
  await until("its records to be seen", areSeen, { patienceMs: patienceMs.pod, everyMs: 300 });
});
afterAll(async () => {
  await invited?.stop();
  await kubectl(onlookerAway);
  await removeServer("desk");
  await removeZone(silent);
  plugin?.close();
});

test("status: one server, all, and for programs", async () => {
  // its records were published just now
  await says("status desk -o json", /"level": "fine"/);
  const page = await well("status desk");
  expect(page).toMatch(/^desk \(_desk\.test\) serves\n/);
  expect(page).toContain(server.status?.addresses?.[0]?.value);
  expect(page).toMatch(/^invite: +in Secret desk-invites$/m);
  // servers of other tests are in it, and may be on their way
  expect((await chatmail("status -A")).out).toMatch(
    /^NAMESPACE +NAME +DOMAIN[\s\S]*^chatmail +desk +_desk\.test +True +Serving/m,
  );
  expect((await chatmail("status -o wide")).out).toMatch(/NODE/);
  const { servers } = await json<{ servers: object[] }>("status desk");
  expect(servers).toMatchObject([{ name: "desk", domain, level: "fine", ready: "True" }]);
});

describe("exit codes and what is said with them", () => {
  test.each([
    { words: "status nobody", code: 4, err: "error: there is no ChatmailServer nobody in namespace chatmail\n" },
    { words: "queue nobody", code: 4, err: "error: there is no ChatmailServer nobody in namespace chatmail\n" },
    { words: "logs desk -c none", code: 4, err: /there is no such container; there are .*postfix/ },
    { words: "logs desk --tail many", code: 2, err: /--tail many: not a number of lines/ },
    { words: "sattus", code: 2, err: /Did you mean status\?/ },
    { words: "expire desk", code: 2, err: /--now/ },
    { words: "users desk --delete a@_desk.test", code: 2, err: /would be lost: add --yes/ },
    { words: "users desk --disable nobody@_desk.test", code: 4, err: "error: there is no account nobody@_desk.test\n" },
    { words: "queue desk --delete example.org --yes", code: 4, err: "error: no mail waits for example.org\n" },
    { words: "rotate-dkim desk --compromised none", code: 4, err: /there is no key none; there are chatmail/ },
  ])("$words: $code", async ({ words, code, err }) => {
    const called = await chatmail(words);
    expect(called).toMatchObject({ code, out: "" });
    if (typeof err === "string") expect(called.err).toBe(err);
    else expect(called.err).toMatch(err);
  });

  test("somebody who may only look is told which right is missing", async () => {
    const account = `${namespace}:onlooker`;
    await kubectl(onlookerAway);
    await kubectl(["-n", namespace, "create", "serviceaccount", "onlooker"]);
    const binding = ["create", "rolebinding", "onlooker", "--clusterrole=view", `--serviceaccount=${account}`];
    await kubectl(["-n", namespace, ...binding]);
    const token = (await kubectl(["-n", namespace, "create", "token", "onlooker"])).trim();
    const config = await kubectlJson<{ users: { user: object }[] }>(["config", "view", "--raw"]);
    for (const each of config.users) each.user = { token };
    const KUBECONFIG = join(plugin.folder, "onlooker");
    writeFileSync(KUBECONFIG, JSON.stringify(config), { mode: 0o600 });
    const environment = { KUBECONFIG };
    for (const words of ["status desk", "dns desk", "logs desk --tail 1"])
      expect(await chatmail(words, { environment }), words).toMatchObject({ code: 0 });
    for (const [words, right] of [
      ["pause desk", /cannot patch resource "chatmailservers"/],
      ["invite desk", /cannot get resource "secrets"/],
      ["queue desk", /cannot get resource "pods\/exec"/],
      ["users desk", /cannot get resource "pods\/exec"/],
      ["expire desk --now", /cannot create resource "jobs"/],
      ["restart desk", /cannot delete resource "pods"/],
    ] as const) {
      const called = await chatmail(words, { environment });
      expect(called.code, words).toBe(5);
      expect(called.err).toMatch(right);
    }
    const { findings } = JSON.parse((await chatmail("doctor desk -o json", { environment })).out);
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: "node",
        level: "unknown",
        says: expect.stringContaining("pods/exec") as unknown,
      }),
    );
  });

  test("no API server, no kubeconfig", async () => {
    const config = await kubectlJson<{ clusters: { cluster: { server: string } }[] }>(["config", "view", "--raw"]);
    for (const { cluster } of config.clusters) cluster.server = "https://127.0.0.1:1";
    const KUBECONFIG = join(plugin.folder, "nowhere");
    writeFileSync(KUBECONFIG, JSON.stringify(config), { mode: 0o600 });
    const nowhere = await chatmail("status", { environment: { KUBECONFIG } });
    expect(nowhere).toMatchObject({
      code: 6,
      err: expect.stringMatching(/^error: the API server can't be reached: .*127\.0\.0\.1:1/),
    });
    const none = await plugin.call(["status", "--kubeconfig", "missing"]);
    expect(none).toMatchObject({ code: 6, err: expect.stringMatching(/missing/) });
  });
});

test("doctor: no problem on a relay that is well", async () => {
  const { code, out, err } = await chatmail(`doctor desk --mail-host ${domain}`);
  expect({ code, out, err }).toMatchObject({
    code: 0,
    out: expect.stringMatching(/\nno problem was found\n$/) as unknown,
  });
  for (const line of [/^ok +clock: clocks agree$/m, /^ok +port 25 out: /m, /^ok +certificate: .*and served$/m])
    expect(out).toMatch(line);
});

test("spec: what was set, and from where", async () => {
  expect(await well("spec desk --set")).toMatch(/^accounts\.registration +Invite +spec$/m);
  expect(await well("spec desk")).toMatch(/^storage\.size +10Gi +built in$/m);
});

describe("invite", () => {
  const post = (path: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const options = { host: domain, port: ports.https, path, method: "POST", rejectUnauthorized: false };
      const asking = request(options, async (response) => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(await response.toArray()).toString() });
      });
      asking.on("error", reject).end();
    });
  let page = "";

  test("a new one: its PNG and its QR code are its link", async () => {
    const out = await well("invite desk --new friends --png friends.png --qr");
    page = /https:\S+/.exec(out)?.[0] ?? "";
    expect(page).toMatch(/^https:\/\/_desk\.test\/i\/[a-z2-9]{20}$/);
    const { data, width, height } = PNG.sync.read(readFileSync(join(plugin.folder, "friends.png")));
    expect(jsqr(new Uint8ClampedArray(data), width, height)?.data).toBe(page);
    const drawn = pixelsOf(out.split("\n").filter((line) => /[▀▄█]/.test(line)));
    expect(jsqr(drawn.data, drawn.width, drawn.height)?.data).toBe(page);
    const { invites } = await json<{ invites: { key: string; page: string }[] }>("invite desk");
    expect(invites).toContainEqual(expect.objectContaining({ key: "friends", page }));
  });

  test("whoever has it joins with Delta Chat; once it is revoked nobody does", async () => {
    const token = page.split("/").at(-1) ?? "";
    const asked = await until(
      "the relay to know the invite",
      async () => {
        const answer = await post(`/new?i=${token}`);
        return answer.status === 200 ? answer : undefined;
      },
      { patienceMs: patienceMs.pod, everyMs: 300 },
    );
    const { email, password, dclogin_url: link } = JSON.parse(asked.body);
    invited = await DeltaChatClient.start("Invited");
    await invited.join(link);
    user = { address: email, password };
    expect(await well(`invite desk --revoke ${page}`)).toBe("revoked friends\n");
    const refused = async () => (await post(`/new?i=${token}`)).status === 403;
    await until("the relay to refuse it", refused, { patienceMs: patienceMs.pod, everyMs: 300 });
    expect(await login()).toBe("OK");
  });

  test("with open registration the link itself is good for everybody", async () => {
    await patchServer("desk", { accounts: { registration: "Open" } });
    await serverReady("desk");
    const [, link = ""] = await says("invite desk", /^(dcaccount:\S+)$/m);
    const anybody = await DeltaChatClient.start("Anybody");
    try {
      await anybody.join(link);
      expect(await anybody.address()).toMatch(/@_desk\.test$/);
    } finally {
      await anybody.stop();
    }
  });
});

describe("dns", () => {
  test("the text of the zone can be published, and the form has the same records", async () => {
    await publishZone(domain, await well("dns desk --zone"));
    expect(await well("dns desk --form")).toMatch(/^DNS records of _desk\.test\. [\s\S]*MX/);
    expect(await well("dns desk")).toMatch(/^Published +Required +MX +_desk\.test\. +10 _desk\.test\./m);
    // everything is there already: it has nothing to wait for
    expect(await well("dns desk --watch")).toMatch(/all records are published/);
  });
});

describe("logs", () => {
  const containersIn = (out: string) => [...new Set(out.split("\n").map((line) => line.split(" ")[0]))].filter(Boolean);

  test("all containers, the last lines of each, and then it ends", async () => {
    const out = await well("logs desk --tail 2");
    expect(new Set(containersIn(out))).toEqual(new Set(["dovecot", "postfix", "relay", "web"]));
    for (const container of containersIn(out))
      expect(out.split("\n").filter((line) => line.startsWith(`${container} `)).length).toBeLessThanOrEqual(2);
    expect(containersIn(await well("logs desk -c postfix --tail 5"))).toEqual(["postfix"]);
    expect(await well("logs desk --timestamps --tail 1")).toMatch(/^\w+ +\d{4}-\d\d-\d\dT/m);
    expect(out).not.toContain(user.address);
  });
});

describe("queue", () => {
  const send = async () => {
    const smtp = await SmtpClient.ready({ host: domain, port: ports.submissions }, user.address, user.password);
    const to = `someone@${silent}`;
    const data = encryptedMessage({ from: user.address, to: [to] });
    expect(await smtp.send({ from: user.address, to: [to], data })).toMatchObject({ code: 250 });
    await smtp.quit();
  };

  test("mail for a server that does not answer: shown, tried, deleted", async () => {
    expect(await well("queue desk")).toBe("the queue is empty\n");
    await send();
    await send();
    const [line] = await says("queue desk", /^silent\.test +2 +\d+ (?:B|kB) +\d+[smh] +\S.*$/m);
    expect(line).not.toMatch(/someone|@_desk/);
    const { destinations } = await json<{ destinations: { ids: string[] }[] }>("queue desk");
    expect(destinations[0]?.ids).toHaveLength(2);
    const tries = async () => (await pod.logs("postfix")).split("status=deferred").length;
    const before = await tries();
    expect(await well("queue desk --flush")).toBe("all mail that waits is tried now\n");
    await until("another attempt", async () => (await tries()) > before, { patienceMs: patienceMs.pod, everyMs: 300 });
    const refused = await chatmail(`queue desk --delete ${silent}`);
    expect(refused).toMatchObject({
      code: 2,
      err: `error: 2 messages to ${silent} would be lost: add --yes to delete them\n`,
    });
    expect(await well(`queue desk --delete ${silent} --yes`)).toBe(`deleted 2 messages to ${silent}\n`);
    expect(await well("queue desk")).toBe("the queue is empty\n");
  });
});

describe("users", () => {
  test("counted and found", async () => {
    const { counts } = await json<{ counts: object[] }>("users desk");
    expect(counts).toMatchObject([{ domain, accounts: 2, active: 2, disabled: 0 }]);
    expect(await well(`users desk --find ${user.address.split("@")[0]}`)).toContain(user.address);
    expect(await well("users desk --find nobody-has-this")).toBe("no account has this in its address\n");
  });

  test("disabled, it neither sends nor receives; enabled, it does again; deleted, its mailbox is removed", async () => {
    const mailTo = async (address: string) => {
      const smtp = await SmtpClient.ready({ host: domain, port: ports.submissions }, user.address, user.password);
      const data = encryptedMessage({ from: user.address, to: [address] });
      // what is dropped is accepted, too: docs/chatmail-protocol.md
      expect(await smtp.send({ from: user.address, to: [address], data })).toMatchObject({ code: 250 });
      await smtp.quit();
    };
    const friend = { address: `${randomName(9)}@${domain}`, password: randomName(20) };
    const inbox = await ImapClient.ready({ host: domain, port: ports.imaps }, friend.address, friend.password);
    const count = async () =>
      Number(/MESSAGES (\d+)/.exec((await inbox.say("STATUS INBOX (MESSAGES)")).untagged.join())?.[1]);
    expect(await well(`users desk --disable ${user.address}`)).toBe(`${user.address} is disabled\n`);
    expect(await well(`users desk --find ${user.address}`)).toMatch(/disabled$/m);
    await mailTo(friend.address);
    expect(await well(`users desk --enable ${user.address}`)).toBe(`${user.address} is enabled\n`);
    await mailTo(friend.address);
    await until("mail of the enabled account", async () => (await count()) > 0, { patienceMs: patienceMs.mail });
    expect(await count()).toBe(1);
    await inbox.logout();
    const home = `${folders.mail}/${domain}/${user.address}`;
    expect(await pod.exec("dovecot", "ls", `${folders.mail}/${domain}`)).toContain(user.address);
    await invited?.stop();
    invited = undefined;
    expect(await well(`users desk --delete ${user.address} --yes`)).toBe(`${user.address} is deleted\n`);
    await expect(pod.exec("dovecot", "ls", home)).rejects.toThrow(/No such file/);
  });
});

test("expire --now: what the clean-up counted", async () => {
  const out = await well("expire desk --now");
  expect(out).toMatch(/^accounts: +2$/m);
  expect(out).toMatch(/^messages removed: +0$/m);
  expect(out).toMatch(/^failures: +0$/m);
});

test("pause and resume", async () => {
  expect(await well("pause desk")).toBe("desk is paused\n");
  await says("status desk", /^desk \(_desk\.test\) serves, paused$/m);
  expect(await well("resume desk")).not.toBe("");
  await says("status desk", /^desk \(_desk\.test\) serves$/m);
});

test("update: it has what it is to have", async () => {
  expect(await well("update desk --wait")).toBe("desk has what it is to have\n");
});

test("restart: the logs go on with the next pod, and end by Ctrl-C with 130", async () => {
  const uid = async () =>
    (await kubectlJson<{ metadata: { uid: string } }>(["-n", namespace, "get", "pod", "desk-0"])).metadata.uid;
  const before = await uid();
  // the daemon of the second pod
  const followed = chatmail("logs desk -f --tail 1 -c relay", {
    interruptAfter: /"stopped"[\s\S]*"entering serving loop"/,
  });
  expect(await well("restart desk")).toBe("desk has restarted\n");
  expect(await uid()).not.toBe(before);
  expect(await followed).toMatchObject({ code: 130 });
  await serverReady("desk");
});

test("rotate-dkim: a new key, whose record is shown to whoever publishes it", async () => {
  expect(await well("rotate-dkim desk")).toMatch(/^the operator replaces the keys of desk: kubectl chatmail dns desk/);
  const [, selector = ""] = await says(
    "dns desk",
    /^Missing +\w+ +TXT +(chatmail-\d{8}\S*)\._domainkey\._desk\.test\. /m,
  );
  await publishZone(domain, await well("dns desk --zone"));
  // it signs once caches have forgotten that there was none, see docs/dns.md
  await says("dns desk", new RegExp(`^Published +\\w+ +TXT +${selector}\\.`, "m"));
});

test("report: no password, key, token, invite or address is in it", async () => {
  const { address, password } = { address: `${randomName(9)}@${domain}`, password: randomName(20) };
  expect(await login({ address, password })).toBe("OK");
  expect(await well("report desk")).toBe("wrote desk-report.yaml: look at it before you pass it on\n");
  const text = readFileSync(join(plugin.folder, "desk-report.yaml"), "utf8");
  for (const part of ["server", "operator", "doctor", "objects", "events", "logs"])
    expect(text).toMatch(new RegExp(`^${part}:`, "m"));
  expect(text).not.toMatch(/notRead|not read: /);
  for (const container of ["relay", "postfix", "dovecot", "web"]) expect(text).toContain(`desk-0/${container}:`);
  for (const secret of [address.split("@")[0] ?? "", password, user.password, user.address.split("@")[0] ?? ""])
    expect(text).not.toContain(secret);
  expect(text).not.toMatch(
    /PRIVATE KEY|\/i\/[a-z2-9]{20}|\$(?:5|6|2y|argon2id?)\$|\b(?:203\.0\.113|198\.51\.100|10\.244)\.\d/,
  );
  const secrets = await kubectlJson<{ items: { data?: Record<string, string> }[] }>([
    "-n",
    namespace,
    "get",
    "secrets",
  ]);
  for (const value of secrets.items
    .flatMap(({ data = {} }) => Object.values(data))
    .filter((each) => each.length >= 12)) {
    expect(text).not.toContain(value);
    expect(text).not.toContain(Buffer.from(value, "base64").toString().trim());
  }
});

test("completion in bash: verbs, options, and names out of the cluster", async () => {
  const completed = async (...words: string[]) => {
    const list = ["kubectl-chatmail", ...words].map((word) => `'${word}'`).join(" ");
    const script = `source <(kubectl-chatmail completion bash); COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _kubectl_chatmail; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { out, err } = await plugin.run("bash", ["-euo", "pipefail", "-c", script]);
    return err + out.trim();
  };
  expect(await completed("stat")).toBe("status");
  expect(await completed("-n", namespace, "restart", "de")).toBe("desk");
  expect(await completed("logs", "--fol")).toBe("--follow");
  writeFileSync(join(plugin.folder, "bin/kubectl_complete-chatmail"), await well("completion kubectl"), {
    mode: 0o755,
  });
  expect(await plugin.run("kubectl", ["__complete", "chatmail", "rota"])).toMatchObject({
    out: expect.stringMatching(/^rotate-dkim\t/),
  });
});

/** Two rows of a QR code are a line of text; what is not drawn is dark. */
function pixelsOf(lines: readonly string[]) {
  const scale = 4;
  const columns = Math.max(...lines.map((line) => line.length));
  const [width, height] = [columns * scale, lines.length * 2 * scale];
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const isLit = (x: number, y: number) => {
    const mark = lines[Math.floor(y / 2)]?.[x] ?? " ";
    return mark === "█" || mark === (y % 2 === 0 ? "▀" : "▄");
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.fill(
        isLit(Math.floor(x / scale), Math.floor(y / scale)) ? 255 : 0,
        (y * width + x) * 4,
        (y * width + x) * 4 + 3,
      );
  return { data, width, height };
}
