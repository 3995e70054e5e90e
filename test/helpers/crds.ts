/** Kinds of others at an API server of the tests. */
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../src/kube/object.ts";
import type { ApiServer } from "./api-server.ts";
import { patienceMs, until } from "./until.ts";

interface Crd extends KubeObject {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] };
}

/** Resolves when all kinds of these files are served; those that were there stay as they were. */
export async function installCrds(server: Pick<ApiServer, "request">, files: readonly string[]): Promise<void> {
  const crds = files.flatMap((file) =>
    parseAllDocuments(readFileSync(file, "utf8"))
      .map((document) => document.toJS() as Crd | null)
      .filter((crd) => crd !== null),
  );
  for (const crd of crds) {
    const { status, body } = await server.request(
      "POST",
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      crd,
    );
    if (status !== 201 && status !== 409) throw new Error(`${crd.metadata.name}: ${JSON.stringify(body)}`);
  }
  for (const { spec } of crds)
    for (const { name } of spec.versions.filter(({ served }) => served)) {
      const path = `/apis/${spec.group}/${name}/${spec.names.plural}`;
      const isServed = async () => (await server.request("GET", path)).status === 200;
      await until(`${path} to be served`, isServed, { patienceMs: patienceMs.client });
    }
}
