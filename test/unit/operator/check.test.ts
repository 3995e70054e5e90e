/** `operator check` on the wire; test/cluster/helm.test.ts runs it as `helm test`. */
import { afterEach, expect, test } from "vitest";
import { checkInstallation } from "../../../src/operator/check.ts";
import {
  type Answer,
  type FakeApiServer,
  fakeApiServer,
  listAnswer,
  type Request,
  statusAnswer,
} from "../../helpers/fake-api-server.ts";

const lease = { namespace: "mail", name: "operator" };
let server: FakeApiServer | undefined;
afterEach(() => server?.close());

interface Cluster {
  /** What a list is answered with, instead of an empty list. */
  lists?: (path: string) => Answer | undefined;
  /** Who holds the lease at the nth look, and since when; undefined: there is no lease. */
  holder?: (look: number) => { holderIdentity?: string; renewTime?: string } | undefined;
}

async function check({ lists, holder }: Cluster, scopes: readonly string[] = ["mail"]): Promise<string> {
  let looks = 0;
  const answer = ({ path }: Request): Answer => {
    if (!path.includes("/leases/")) return lists?.(path) ?? listAnswer([], "1");
    const spec = holder?.(looks++);
    if (!spec) return statusAnswer(404, "NotFound", "not found");
    return { json: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "operator" }, spec } };
  };
  server = await fakeApiServer(answer);
  const { client } = server;
  const { signal } = new AbortController();
  return checkInstallation({ client, lease, scopes, signal, times: { looks: 3, everyMs: 1 } });
}

const renewing = (look: number) => ({ holderIdentity: "one-1", renewTime: `2026-11-29T00:00:0${look}.000000Z` });

test.each([
  { scopes: ["mail"], reads: ["/namespaces/mail/chatmailservers", "/namespaces/mail/chatmailfleets"] },
  { scopes: [""], reads: ["/chatmailservers", "/chatmailfleets"] },
  { scopes: ["a", "b"], reads: ["a/chatmailservers", "a/chatmailfleets", "b/chatmailservers", "b/chatmailfleets"] },
])("an operator that renews its lease leads, and its kinds are read in $scopes", async ({ scopes, reads }) => {
  expect(await check({ holder: renewing }, scopes)).toBe("one-1");
  const paths = server?.requests.map(({ path }) => path).filter((path) => !path.includes("/leases/"));
  expect(paths).toEqual(reads.map((end) => expect.stringMatching(new RegExp(`${end}$`))));
});

test.each([
  {
    when: "there is no lease",
    holder: () => undefined,
    says: "no operator leads: nobody holds the lease mail/operator.",
  },
  { when: "it was given back", holder: () => ({ holderIdentity: "" }), says: "no operator leads" },
  {
    when: "its holder is gone",
    holder: () => ({ holderIdentity: "gone", renewTime: "2026-11-29T00:00:00.000000Z" }),
    says: "the lease mail/operator of gone is not renewed.",
  },
])("says so when $when", async ({ holder, says }) => {
  await expect(check({ holder })).rejects.toThrow(says);
});

test("a kind that is not installed, or may not be read, is named", async () => {
  const fleets = (answer: Answer) => (path: string) => (path.endsWith("/chatmailfleets") ? answer : undefined);
  const notFound = statusAnswer(404, "NotFound", "the server could not find the requested resource");
  await expect(check({ holder: renewing, lists: fleets(notFound) })).rejects.toThrow(
    "chatmailfleets.chatmail.dev is not installed: apply the CRD",
  );
  await server?.close();
  const forbidden = statusAnswer(403, "Forbidden", "User may not list");
  await expect(check({ holder: renewing, lists: fleets(forbidden) })).rejects.toThrow(
    /^the operator may not read chatmailfleets in the namespace mail: .*User may not list/,
  );
  await server?.close();
  await expect(check({ holder: renewing, lists: fleets(forbidden) }, [""])).rejects.toThrow("in all namespaces");
});
