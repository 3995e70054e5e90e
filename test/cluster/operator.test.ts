/**
 * A relay's life as the person sees it who looks after it: made, edited, damaged, broken, deleted,
 * made again.
 */
import { X509Certificate } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Condition, WrittenServer } from "../../src/api/chatmail-server.ts";
import { annotations, deletionFinalizer } from "../../src/api/names.ts";
import { sha256Of } from "../../src/certificates/pair.ts";
import { certificateNames, type KeyPair } from "../../src/certificates/self-signed.ts";
import type { StatefulSet } from "../../src/kube/kinds.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { ports } from "../../src/mail/ports.ts";
import type { LivePod } from "../../src/operator/server/live.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { type Authority, makeAuthority } from "../helpers/authorities.ts";
import { brokenNginx, sameImage } from "../helpers/derived-image.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl, kubectlJson, objectIn, theObject } from "../helpers/kubectl.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { servedCertificates } from "../helpers/served-certificates.ts";
import {
  getServer,
  namespace,
  operatorIsInstalled,
  patchServer as patch,
  removeServer,
  serverObject as server,
  serverReady,
} from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const names = ["story", "twin", "given"];

const get = (kind: string, name: string) =>
  theObject<KubeObject & { data?: Record<string, string> }>(namespace, `${kind}/${name}`);

const exists = async (kind: string, name: string) => (await objectIn(namespace, `${kind}/${name}`)) !== undefined;

/** Waits for a condition with this status and reason, and gives it. */
function conditionIs(name: string, type: string, statusAndReason: string): Promise<Condition> {
  let last: Condition | undefined;
  const find = async () => {
    last = (await getServer(name)).status?.conditions?.find((condition) => condition.type === type);
    return last && `${last.status} ${last.reason}` === statusAndReason ? last : undefined;
  };
  return until(`${name} to say ${type}=${statusAndReason}`, find, { patienceMs: patienceMs.pod, everyMs: 100 }).catch(
    (cause) => {
      throw new Error(`${String(cause)}; last: ${JSON.stringify(last)}`, { cause });
    },
  );
}

/** The versions of the server and all its children: what a write would change. */
async function versions(name: string): Promise<string[]> {
  const kinds = "configmaps,secrets,persistentvolumeclaims,services,statefulsets,cronjobs,chatmailservers";
  const { items } = await kubectlJson<{ items: KubeObject[] }>(["-n", namespace, "get", kinds]);
  return items
    .filter(({ metadata }) => metadata.name === name || metadata.name.startsWith(`${name}-`))
    .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`)
    .sort();
}

beforeAll(async () => {
  await operatorIsInstalled();
  for (const name of names) await removeServer(name);
});

afterAll(async () => {
  for (const name of names) await removeServer(name);
});

describe("one server", () => {
  test("is Ready after kubectl apply, and says where it is and how people join", async () => {
    await apply(server("story", { domain: "_story.test", accounts: onAnyLoad }));
    const { status } = await serverReady("story");
    expect(status?.addresses?.[0]?.value).toMatch(/^203\.0\.113\./);
    expect(status?.invite).toEqual({ link: "dcaccount:_story.test", page: "https://_story.test/" });
    expect(status?.certificate).toMatchObject({
      source: "SelfSigned",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Object.fromEntries(status?.conditions?.map(({ type, status: is }) => [type, is]) ?? [])).toMatchObject({
      Ready: "True",
      Reconciling: "False",
      Stalled: "False",
      StorageReady: "True",
      CertificateReady: "True",
      PodReady: "True",
    });
  });

  test("it says that new accounts are created, as the relay in the pod reports it", async () => {
    const { message } = await conditionIs("story", "AcceptingAccounts", "True AccountsOpen");
    expect(message).toBe("new accounts are created");
  });

  test("it says that the relay delivers the messages that it sends to itself", async () => {
    const { message } = await conditionIs("story", "Deliverable", "True MessageDelivered");
    expect(message).toBe("the relay's messages to itself are delivered, by the ports that clients use");
  });

  test("the pod holds no credentials of the cluster", async () => {
    const mounted = await kubectl([
      "-n",
      namespace,
      "exec",
      "story-0",
      "-c",
      "relay",
      "--",
      "ls",
      "/var/run/secrets",
    ]).catch(String);
    expect(mounted).toMatch(/No such file or directory/);
  });

  const planOfStory = async () => (await get("configmap", "story-plan")).data?.["plan.json"] ?? "";

  test("new limits are in force in the running pod, and the kubelet is made to look for them", async () => {
    const before = await get("pod", "story-0");
    const reports = ["postfix", "dovecot", "web"].map((program) => `/run/chatmail/plan-${program}.json`);
    for (const sendBurst of [19, 20, 21]) {
      await patch("story", { accounts: { sendBurst }, messages: { maxSize: `${sendBurst}Mi` } });
      await until("the plan", async () => (await planOfStory()).includes(`"sendBurst": ${sendBurst}`));
      const inPod = () =>
        kubectl(["-n", namespace, "exec", "story-0", "-c", "relay", "--", "cat", "/etc/chatmail/plan/plan.json"]);
      await until("the plan in the pod", async () => (await inPod()).includes(`"sendBurst": ${sendBurst}`), {
        patienceMs: 120_000,
        everyMs: 100,
      });
      const used = `"current":"${planHash(await planOfStory())}"`;
      const inForce = async () => {
        const said = await kubectl(["-n", namespace, "exec", "story-0", "-c", "relay", "--", "cat", ...reports]);
        return said.split(used).length === 1 + reports.length;
      };
      await until("the pod to go by it", inForce, { patienceMs: 120_000, everyMs: 100 });
      // by itself it looks after a minute and more (decision 0027)
      const { resourceVersion = "" } = (await get("configmap", "story-plan")).metadata;
      await until("the pod to be marked", async () => {
        const { metadata } = await get("pod", "story-0");
        return metadata.annotations?.[annotations.synced]?.split(" ").includes(resourceVersion);
      });
    }
    await conditionIs("story", "UpToDate", "True PlanUsed");
    await serverReady("story");
    expect((await get("pod", "story-0")).metadata.uid).toBe(before.metadata.uid);
  });

  test("what only the pod's template holds reaches a new pod", async () => {
    const before = await get("pod", "story-0");
    await patch("story", { resources: { web: { requests: { memory: "24Mi" } } } });
    await serverReady("story");
    expect((await get("pod", "story-0")).metadata.uid).not.toBe(before.metadata.uid);
  });

  test.each(["service/story", "configmap/story-plan", "cronjob/story-expiry", "statefulset/story"])(
    "%s comes back when it is deleted",
    async (child) => {
      const [kind = "", name = ""] = child.split("/");
      const { uid } = (await get(kind, name)).metadata;
      await kubectl(["-n", namespace, "delete", child]);
      await until(
        `${child} to come back`,
        async () => (await exists(kind, name)) && (await get(kind, name)).metadata.uid !== uid,
        {
          patienceMs: patienceMs.client,
          everyMs: 100,
        },
      );
      await serverReady("story");
    },
  );

  test("what a person changes in a child is put back", async () => {
    await kubectl(["-n", namespace, "scale", "statefulset/story", "--replicas=0"]);
    // its controller may have ended the pod before
    const isBack = async () => {
      const { metadata, spec, status } = await theObject<StatefulSet>(namespace, "sts/story");
      return (
        spec?.replicas === 1 &&
        status?.observedGeneration === metadata?.generation &&
        status?.readyReplicas === 1 &&
        (await get("pod", "story-0")).metadata.deletionTimestamp === undefined
      );
    };
    await until("one replica again", isBack, { patienceMs: patienceMs.pod, everyMs: 100 });
    await serverReady("story");
  });

  test("an image that is not there is named while the pod goes on, and its cure needs no help", async () => {
    const before = (await get("pod", "story-0")) as LivePod;
    const { image = "" } = before.spec?.containers?.[0] ?? {};
    const missing = `${image.replace(/[:@][^/]*$/, "")}:no-such-tag`;
    await patch("story", { image: { reference: "registry.invalid/no-such-relay:1" } });
    await conditionIs("story", "Ready", "False ImageNotAllowed");
    await patch("story", { image: { reference: missing } });
    const { message } = await conditionIs("story", "UpToDate", "False ImageUnavailable").finally(() =>
      patch("story", { image: null }),
    );
    expect(message).toContain(`the running pod is not replaced: ${missing} can't be pulled`);
    await conditionIs("story", "UpToDate", "True PlanUsed");
    await serverReady("story");
    expect((await get("pod", "story-0")).metadata.uid).toBe(before.metadata.uid);
    await noCheckIsLeft();
  });

  /** The job of a check that is over removes itself. */
  const noCheckIsLeft = () => {
    const jobs = ["get", "job", "-l", "chatmail.dev/server=story,chatmail.dev/component=check", "-o", "name"];
    const isGone = async () => (await kubectl(["-n", namespace, ...jobs])) === "";
    return until("the job of the check to be gone", isGone, { patienceMs: patienceMs.pod, everyMs: 250 });
  };

  test("an image whose nginx is broken is found out before it replaces the pod; a sound one replaces it", async () => {
    const before = (await get("pod", "story-0")) as LivePod;
    const { image = "" } = before.spec?.containers?.[0] ?? {};
    const [broken, sound] = [await brokenNginx(), await sameImage()];
    await patch("story", { image: { reference: broken } });
    const { message } = await conditionIs("story", "UpToDate", "False UpdateHeld");
    expect(message).toContain(`${broken} can't use the present settings: web: nginx: [emerg] this build is broken`);
    expect((await get("pod", "story-0")).metadata.uid).toBe(before.metadata.uid);
    expect(
      await getServer("story").then(({ status }) => status?.conditions?.find(({ type }) => type === "PodReady")),
    ).toMatchObject({ status: "True" });
    await patch("story", { image: { reference: sound } });
    const hasIt = async () => ((await get("pod", "story-0")) as LivePod).spec?.containers?.[0]?.image === sound;
    await until("the sound image", hasIt, { patienceMs: patienceMs.pod, everyMs: 100 });
    await serverReady("story");
    await noCheckIsLeft();
    await patch("story", { image: null });
    const isBack = async () => ((await get("pod", "story-0")) as LivePod).spec?.containers?.[0]?.image === image;
    await until("the image of before", isBack, { patienceMs: patienceMs.pod, everyMs: 100 });
    await serverReady("story");
  });

  test("paused, a change of the spec waits", async () => {
    await patch("story", { management: "Paused", accounts: { sendBurst: 22 } });
    await conditionIs("story", "Stalled", "True EditWaiting");
    expect(await planOfStory()).toContain('"sendBurst": 21');
    await patch("story", { management: "Managed" });
    await until("the change", async () => (await planOfStory()).includes('"sendBurst": 22'));
    await serverReady("story");
  });

  test("a new operator changes nothing", async () => {
    await serverReady("story");
    const before = await versions("story");
    await kubectl(["-n", namespace, "rollout", "restart", "deployment/chatmail-operator"]);
    await kubectl(["-n", namespace, "rollout", "status", "deployment/chatmail-operator", "--timeout=60s"]);
    // The new one has been through all servers when it has put back what is missing in one of them.
    await kubectl(["-n", namespace, "delete", "cronjob/story-expiry"]);
    await until("the new operator at work", () => exists("cronjob", "story-expiry"), { patienceMs: patienceMs.client });
    await serverReady("story");
    const unlessCronJob = (lines: string[]) => lines.filter((line) => !line.startsWith("CronJob"));
    const isStatusOnly = (lines: string[]) => lines.filter((line) => !line.startsWith("ChatmailServer"));
    expect(isStatusOnly(unlessCronJob(await versions("story")))).toEqual(isStatusOnly(unlessCronJob(before)));
  });

  test("at rest nothing is written", async () => {
    await serverReady("story");
    const twentySecondsWithoutWrites = async () => {
      const before = await versions("story");
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      return isDeepStrictEqual(await versions("story"), before);
    };
    // first looks, at its names and its delivery, may still be on their way
    await until("20 s without a write", twentySecondsWithoutWrites, { patienceMs: patienceMs.pod, everyMs: 0 });
  });
});

describe("a domain", () => {
  test("belongs to the older server; the younger one is told whose it is", async () => {
    await apply(server("twin", { domain: "_story.test" }));
    const ready = await conditionIs("twin", "Ready", "False DomainTaken");
    expect(ready.message).toBe("_story.test is served by ChatmailServer story: delete one of the two");
    expect(await exists("statefulset", "twin")).toBe(false);
    await conditionIs("twin", "Stalled", "True DomainTaken");
    await removeServer("twin");
  });
});

describe("a certificate that the user gives", () => {
  const domain = "given.example.org";
  let authority: Authority;
  beforeAll(async () => {
    authority = await makeAuthority("Own authority");
  });
  const pairFor = (forDomain: string) => authority.issue(certificateNames(forDomain));
  const secret = ({ certificatePem, keyPem }: KeyPair) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "given-cert", namespace },
    type: "kubernetes.io/tls",
    stringData: { "tls.crt": certificatePem, "tls.key": keyPem },
  });
  afterAll(() => kubectl(["-n", namespace, "delete", "secret/given-cert", "configmap/given-ca", "--ignore-not-found"]));

  test("is asked for, missed, checked against the domain, and served", async () => {
    // a busy machine would refuse the address that a client makes here
    await apply(server("given", { domain, accounts: onAnyLoad }));
    const first = await conditionIs("given", "CertificateReady", "False CertificateSourceMissing");
    expect(first.message).toMatch(
      /or put one into a Secret of type kubernetes\.io\/tls and set certificate to source: Secret/,
    );

    await patch("given", { certificate: { source: "Secret", secret: { name: "given-cert" } } });
    const second = await conditionIs("given", "CertificateReady", "False CertificateMissing");
    expect(second.message).toBe("there is no Secret given-cert in namespace chatmail");

    await apply(secret(await pairFor("other.example.org")));
    const third = await conditionIs("given", "CertificateReady", "False CertificateMismatch");
    expect(third.message).toBe(
      "the certificate is for other.example.org, www.other.example.org, mta-sts.other.example.org, not for given.example.org",
    );

    await apply(secret(await pairFor(domain)));
    const fourth = await conditionIs("given", "CertificateReady", "False CertificateChainIncomplete");
    expect(fourth.message).toMatch(/^tls\.crt lacks the certificate of "Own authority"/);

    await patch("given", { certificate: { caBundle: { configMapName: "given-ca" } } });
    await conditionIs("given", "CertificateReady", "False CertificateUntrusted");
    const metadata = { name: "given-ca", namespace };
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { "ca.crt": authority.pem } });
    await conditionIs("given", "CertificateReady", "True CertificateIssued");
    await serverReady("given");
  });

  test("is renewed while a client waits for mail: the pod goes on, and so does the client", async () => {
    const { status } = await serverReady("given");
    const at = (port: number) => ({ host: status?.addresses?.[0]?.value ?? "", port });
    const { address, password } = someAccount(domain);
    const client = await ImapClient.ready(at(ports.imaps), address, password);
    await client.say("SELECT INBOX");
    const idle = await client.idle();
    const pod = async () => {
      const { metadata, status } = await theObject<LivePod>(namespace, "pod/given-0");
      return { uid: metadata.uid, restarts: status?.containerStatuses?.map(({ restartCount }) => restartCount) };
    };
    const before = await pod();

    const pair = await pairFor(domain);
    await apply(secret(pair));
    const expected = sha256Of(new X509Certificate(pair.certificatePem));
    const served = async () => Object.values(await servedCertificates(at)).every((each) => each === expected);
    await until("the new certificate at every port", served, { patienceMs: patienceMs.pod, everyMs: 500 });

    expect(await pod()).toEqual(before);
    const smtp = await SmtpClient.ready(at(ports.submissions), address, password);
    const data = encryptedMessage({ from: address, to: [address] });
    expect(await smtp.send({ from: address, to: [address], data })).toMatchObject({ code: 250 });
    await smtp.quit();
    while (!(await idle.next()).includes("EXISTS"));
    await idle.done();
    await client.logout();
  });
});

describe("deleting a server", () => {
  let first: WrittenServer;

  test("with Retain leaves mailboxes and keys", async () => {
    first = await serverReady("story");
    await kubectl(["-n", namespace, "delete", "cms", "story"]);
    const gone = async () => {
      const left = [
        "service/story",
        "statefulset/story",
        "pod/story-0",
        "configmap/story-plan",
        "cronjob/story-expiry",
      ];
      const found = await Promise.all(left.map((each) => exists(...(each.split("/") as [string, string]))));
      return !found.includes(true);
    };
    await until("the children to go", gone, { patienceMs: patienceMs.pod, everyMs: 200 });
    const kept = [exists("pvc", "story-data"), exists("secret", "story-tls"), exists("secret", "story-dkim")];
    expect(await Promise.all(kept)).toEqual([true, true, true]);
  });

  test("a server of that name finds them again", async () => {
    const volume = (await get("pvc", "story-data")).metadata.uid;
    await apply(server("story", { domain: "_story.test", accounts: onAnyLoad }));
    const second = await serverReady("story");
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    expect(second.status?.certificate?.sha256).toBe(first.status?.certificate?.sha256);
    expect(second.status?.dkim?.keys?.[0]?.record?.value).toMatch(/^"v=DKIM1;k=rsa;p=/);
    expect(second.status?.dkim).toEqual(first.status?.dkim);
    expect((await get("pvc", "story-data")).metadata.uid).toBe(volume);
  });

  test("with Delete everything goes", async () => {
    await patch("story", { storage: { reclaimPolicy: "Delete" } });
    const isHeld = async () => (await get("cms", "story")).metadata.finalizers?.includes(deletionFinalizer);
    await until("the finalizer", isHeld);
    await kubectl(["-n", namespace, "delete", "cms", "story"]);
    const left = () =>
      Promise.all([exists("pvc", "story-data"), exists("secret", "story-tls"), exists("secret", "story-dkim")]);
    const gone = async () => !(await left()).includes(true);
    await until("the volume and the keys to go", gone, { patienceMs: patienceMs.pod, everyMs: 200 });
  });
});
