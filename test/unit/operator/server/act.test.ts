import { expect, test } from "vitest";
import { ApiError } from "../../../../src/kube/api-error.ts";
import { nothingDone, noting, refuseOtherDomain } from "../../../../src/operator/server/act.ts";
import { aServer } from "../../../helpers/a-server.ts";

const kept = (kind: string, name: string, domain?: string) => ({
  apiVersion: "v1",
  kind,
  metadata: { name, ...(domain && { annotations: { "chatmail.dev/domain": domain } }) },
});

test.each([
  { when: "the volume", found: [kept("PersistentVolumeClaim", "nine-data", "_old.test")], named: "pvc/nine-data" },
  { when: "the signing key", found: [kept("Secret", "nine-dkim", "_old.test")], named: "secret/nine-dkim" },
  { when: "the certificate", found: [kept("Secret", "nine-tls", "_old.test")], named: "secret/nine-tls" },
])("$when of another domain is a conflict, with the command that resolves it", ({ found, named }) => {
  expect(() => refuseOtherDomain(aServer(), found)).toThrow(
    `mailboxes or keys of _old.test were kept under the name nine: use another name for this server, or delete them permanently: kubectl -n chatmail delete ${named}`,
  );
});

test("kept objects of this domain, and those of a version that did not write the domain, are used", () => {
  const found = [kept("PersistentVolumeClaim", "nine-data", "_nine.test"), kept("Secret", "nine-tls")];
  expect(() => refuseOtherDomain(aServer(), found)).not.toThrow();
});

test.each([
  {
    says: "Internal error occurred: failed to allocate a nodePort: range is full",
    cure: "allocateNodePorts to false",
  },
  {
    says: "Internal error occurred: failed to allocate a serviceIP: range is full",
    cure: "--service-cluster-ip-range",
  },
])("where the cluster has run out ($says), the failure says what helps", async ({ says, cure }) => {
  const done = nothingDone();
  await noting(done, { what: "Service nine", concern: "AddressesReady" }, async () => {
    throw new ApiError({ status: 500, reason: "InternalError", message: says });
  });
  expect(done.failures).toMatchObject([{ reason: "ApplyFailed", concern: "AddressesReady" }]);
  expect(done.failures[0]?.message).toMatch(/^Service nine: Internal error/);
  expect(done.failures[0]?.message).toContain(cure);
});
