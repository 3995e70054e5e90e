/** What is said of Kubernetes versions in several places is the same. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { type BuiltKubernetes, kubernetesVersions, usualKubernetes } from "../../lab/versions.ts";

const root = resolve(import.meta.dirname, "../../..");
const textOf = (path: string) => readFileSync(join(root, path), "utf8");
const names = Object.keys(kubernetesVersions);
const built = Object.entries(kubernetesVersions).flatMap(([name, one]): [string, BuiltKubernetes][] =>
  "built" in one ? [[name, one.built]] : [],
);

test("kind's node image of each version is pinned by digest", () => {
  for (const [name, { kindNode }] of Object.entries(kubernetesVersions))
    expect(kindNode).toMatch(new RegExp(`^kindest/node:v${name.replace(".", "[.]")}[.]\\d+@sha256:[0-9a-f]{64}$`));
});

test.each(built)(
  "the modules of %s are of the versions that the table names",
  (name, { version, etcd, coredns, corednsModule = coredns, modules }) => {
    expect(version.startsWith(`${name}.`)).toBe(true);
    const module = textOf(join("test/lab/programs", modules ?? ".", "go.mod"));
    const staging = version.replace(/^1/, "0");
    expect(module).toContain(`\tk8s.io/kubernetes v${version} // indirect\n`);
    expect(module).toContain(`\tgithub.com/coredns/coredns v${corednsModule} // indirect\n`);
    expect(module).toContain(`\tgo.etcd.io/etcd/server/v3 v${etcd.split("-")[0]} // indirect\n`);
    const replaced = [...module.matchAll(/=> k8s[.]io\S+ v(\S+)$/gm)].map(([, at]) => at);
    expect(replaced.length).toBeGreaterThan(25);
    expect(new Set(replaced)).toEqual(new Set([staging]));
  },
);

test("the workflow tests each supported version, and the docs and charts name them", () => {
  const workflow = parse(textOf(".github/workflows/test.yml")) as {
    jobs: { kubernetes: { strategy: { matrix: { version: string[] } } } };
  };
  expect([...workflow.jobs.kubernetes.strategy.matrix.version, usualKubernetes]).toEqual(names);
  expect(textOf("docs/before-you-start.md")).toContain(`**Kubernetes** ${names[0]} to ${names.at(-1)}.`);
  for (const chart of ["chatmail-operator", "chatmail-servers"])
    expect(textOf(`charts/${chart}/Chart.yaml`)).toContain(`kubeVersion: ">=${names[0]}.0-0"`);
});
