/** The generated files of both charts. */
import { kinds } from "../../src/api/kinds.ts";
import { version as apiVersionName, group } from "../../src/api/names.ts";
import { operatorValues } from "./operator-values.ts";
import { serversValues } from "./servers-values.ts";
import { rowsOf, schemaOf, type Values, valuesYaml } from "./value.ts";

interface Chart {
  name: "chatmail-operator" | "chatmail-servers";
  title: string;
  description: string;
  values: Values;
  annotations: Record<string, string>;
  /** What the README says before the table of values. */
  about: string;
}

const hint = "# Written by npm run generate; edit scripts/chart/ instead.\n";

/** Artifact Hub reads some annotations as YAML: JSON is that too. */
const asText = (value: unknown) => JSON.stringify(value, undefined, 1);

const crds = kinds.map(({ kind, plural, description }) => ({
  kind,
  version: apiVersionName,
  name: `${plural}.${group}`,
  displayName: kind,
  description,
}));

const examples = kinds.map(({ kind, example }) => [kind, example] as const);

export function operatorChart(exampleObjects: readonly unknown[]): Chart {
  return {
    name: "chatmail-operator",
    title: "Chatmail Operator",
    description: "Runs chatmail relays (minimal e-mail servers for Delta Chat) as Kubernetes objects",
    values: operatorValues,
    annotations: {
      "artifacthub.io/license": "Apache-2.0",
      "artifacthub.io/category": "networking",
      "artifacthub.io/operator": "true",
      "artifacthub.io/operatorCapabilities": "Seamless Upgrades",
      "artifacthub.io/prerelease": "true",
      "artifacthub.io/crds": asText(crds),
      "artifacthub.io/crdsExamples": asText(exampleObjects),
    },
    about: `Installs the operator and its CustomResourceDefinitions. A relay is then a name and a domain:

\`\`\`yaml
${examples[0]?.[1].trim()}
\`\`\`

The chart [chatmail-servers](../chatmail-servers/README.md) makes such objects from values.

## Images

Where the images are, is said by \`image\` and \`relayImage\`. Charts of a release name both by digest;
in a checkout they have no registry: push what \`npm run images\` built, and name it.

## CustomResourceDefinitions

They come with the chart and are upgraded by it. \`helm uninstall\` leaves them: with them every
ChatmailServer would be deleted. If they were installed by \`kubectl apply\`, set
\`crds.enabled=false\`.

## Namespaces

The operator looks after the namespace of the release and has rights there alone, but for
\`watch.namespaces\` or \`watch.allNamespaces\`. Two operators never work on one namespace.

## OpenShift

The operator runs under any user:

\`\`\`yaml
podSecurityContext: { runAsUser: null, runAsGroup: null }
\`\`\`

Relay pods have fixed users, to which the files on the volume belong, and some containers need
capabilities: they need a SecurityContextConstraints object that allows this for the ServiceAccount
of \`serverDefaults.pod.serviceAccountName\`. This has not been tried on OpenShift.

## Test of a release

\`helm test RELEASE\` starts a pod with the operator's image and account. It succeeds if the watched
namespaces have the kinds and the operator may read them, and if one operator leads.

## Upgrading

\`helm upgrade\` is tested from the chart of the commit before, with \`--reuse-values\` too. What an
upgrade restarts: [upgrading](../../docs/upgrading.md).
`,
  };
}

export const serversChart: Chart = {
  name: "chatmail-servers",
  title: "Chatmail Servers",
  description: "ChatmailServers and ChatmailFleets from the values of a release",
  values: serversValues,
  annotations: {
    "artifacthub.io/license": "Apache-2.0",
    "artifacthub.io/category": "networking",
    "artifacthub.io/prerelease": "true",
  },
  about: `Servers for who wants them by Helm. They are ordinary objects: \`kubectl apply\` and Git do as well, and
the operator of the chart [chatmail-operator](../chatmail-operator/README.md) has to look after the
namespace of the release.

\`\`\`yaml
defaults:
  privacy: { mail: admin@example.org }
servers:
  nine:
    spec: { domain: nine.example.org }
  ten:
    labels: { ring: canary }
    spec:
      domain: ten.example.org
      storage: { size: 20Gi }
\`\`\`

Values are checked against the fields of the CRD before anything is sent, and by the API server's
rules after that.

## Servers stay

With \`keep\`, which is the default, a server that is removed from the values goes on, and so do all of
them after \`helm uninstall\`. To delete one with its mailboxes: \`kubectl delete chatmailserver NAME\`
([removing](../../docs/removing.md)).
`,
};

const readme = ({ name, title, description, about, values }: Chart) =>
  `<!-- Written by npm run generate; edit scripts/chart/ instead. -->

# ${title}

${description}.

<!-- not run: needs images in a registry. test/cluster/helm.test.ts installs the chart -->

\`\`\`sh
helm install ${name} charts/${name} -n chatmail --create-namespace --values values.yaml
\`\`\`

${about}
## Values

A value that does not exist, or is out of bounds, is refused.

| Value | Default | What it does |
| --- | --- | --- |
${rowsOf(values).join("\n")}
`;

export function chartFiles(chart: Chart, version: string, yaml: (object: unknown) => string): Record<string, string> {
  const { name, description, annotations, values } = chart;
  const file = {
    apiVersion: "v2",
    name,
    description,
    type: "application",
    version,
    appVersion: version,
    kubeVersion: ">=1.31.0-0",
    keywords: ["chatmail", "delta chat", "e-mail", "operator"],
    annotations,
  };
  const schema = { $schema: "https://json-schema.org/draft-07/schema#", ...schemaOf(values) };
  const folder = `charts/${name}`;
  return {
    [`${folder}/Chart.yaml`]: yaml(file),
    [`${folder}/values.yaml`]: `${hint}\n${valuesYaml(values)}`,
    [`${folder}/values.schema.json`]: `${JSON.stringify(schema, undefined, 1)}\n`,
    [`${folder}/README.md`]: readme(chart),
  };
}
