/**
 * `npm run generate`: writes the files that follow from src/. With --check: writes nothing, names
 * each file that is not fresh.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse, stringify } from "yaml";
import { crdOf } from "../src/api/crd.ts";
import { kinds } from "../src/api/kinds.ts";
import { referenceOf } from "../src/api/reference.ts";
import { installManifests, ownRules, userRules, watchRules } from "../src/operator/manifests.ts";
import { bundledPackages } from "./build.ts";
import { chartFiles, operatorChart, serversChart } from "./chart/files.ts";
import { kustomizationFiles } from "./chart/kustomization.ts";
import { licencesPage } from "./licences.ts";
import { alertsPage, ruleGroups } from "./monitoring/alerts.ts";
import { dashboard } from "./monitoring/dashboard.ts";
import { readOptions } from "./options.ts";
import { pluginPage } from "./plugin-page.ts";
import { recordingSvg } from "./recording.ts";
import { metricsPage, operatorConfigurationPage } from "./reference-pages.ts";

const root = resolve(import.meta.dirname, "..");
const hint = "# Written by npm run generate; edit src/ instead.\n";
const yaml = (...objects: unknown[]) =>
  hint + objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join("---\n");

const { version } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")) as { version: string };
/** Where the one-file install puts everything. */
const namespace = "chatmail";
const install = installManifests({
  namespace,
  operatorImage: `chatmail-operator:${version}`,
  relayImage: `chatmail-relay:${version}`,
  version,
});
const crds = kinds.map(crdOf);
/**
 * Helm leaves what carries this in place when the chart is removed: with the CRD all relays would
 * go.
 */
const kept = { "helm.sh/resource-policy": "keep" };
const chart = "charts/chatmail-operator";

const files: Record<string, string> = {
  ...Object.fromEntries(kinds.map((kind) => [`crds/${kind.plural}.yaml`, yaml(crdOf(kind))])),
  ...Object.fromEntries(kinds.map((kind) => [`docs/reference/${kind.singular}.md`, referenceOf(kind)])),
  "install/chatmail-operator.yaml": yaml(
    ...crds,
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    ...install,
  ),
  [`${chart}/generated/crd.yaml`]: yaml(
    ...crds.map((crd) => ({ ...crd, metadata: { ...crd.metadata, annotations: kept } })),
  ),
  [`${chart}/generated/watch-rules.yaml`]: yaml(watchRules),
  [`${chart}/generated/own-rules.yaml`]: yaml(ownRules),
  ...Object.fromEntries(
    Object.entries(userRules).map(([verb, rules]) => [`${chart}/generated/${verb}-rules.yaml`, yaml(rules)]),
  ),
  ...chartFiles(operatorChart(kinds.map(({ example }) => parse(example))), version, yaml),
  ...chartFiles(serversChart, version, yaml),
  ...kustomizationFiles(yaml),
  [`${chart}/generated/rules.yaml`]: yaml(ruleGroups()),
  [`${chart}/generated/dashboard.json`]: `${JSON.stringify(dashboard(), undefined, 1)}\n`,
  "docs/reference/alerts.md": alertsPage(),
  "docs/decisions/README.md": decisionIndex(),
  "docs/reference/operator-configuration.md": operatorConfigurationPage(),
  "docs/reference/metrics.md": metricsPage(),
  "docs/kubectl-chatmail.md": pluginPage(),
  "docs/reference/licences.md": licencesPage(await bundledPackages()),
  "docs/images/demo.svg": recordingSvg(readFileSync(resolve(root, "docs/images/demo.txt"), "utf8")),
};

function decisionIndex(): string {
  const folder = resolve(root, "docs/decisions");
  const pages = readdirSync(folder).filter((name) => /^\d{4}-/.test(name));
  const row = (page: string) => {
    const [, number = "", title = ""] = /^# (\d{4}): (.*)\n/.exec(readFileSync(resolve(folder, page), "utf8")) ?? [];
    return `| ${number} | [${title}](${page}) |\n`;
  };
  const head =
    "<!-- Written by npm run generate from the titles of the pages. -->\n\n# Decisions\n\nWhat was chosen where a newcomer might expect something else: the question, the choice, what else was\ntried, figures, and when to reconsider.\n\n| | |\n| --- | --- |\n";
  return head + pages.sort().map(row).join("");
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

const { values } = readOptions("npm run generate [-- --check]", {
  options: { check: { type: "boolean", default: false } },
});
const stale = Object.keys(files).filter((name) => textOf(resolve(root, name)) !== files[name]);
if (values.check) {
  for (const name of stale) console.error(`${name} is not fresh: run npm run generate`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const name of stale) {
    mkdirSync(dirname(resolve(root, name)), { recursive: true });
    writeFileSync(resolve(root, name), files[name] ?? "");
    console.log(`wrote ${name}`);
  }
}
