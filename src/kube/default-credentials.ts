import { type Credentials, inClusterCredentials } from "./credentials.ts";

/** A service account where there is one, unless KUBECONFIG says otherwise. */
export async function defaultCredentials(environment: Record<string, string | undefined>): Promise<Credentials> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, KUBECONFIG: kubeconfig } = environment;
  if (host && port && !kubeconfig)
    return inClusterCredentials({ host, port, folder: "/var/run/secrets/kubernetes.io/serviceaccount" });
  // By a name that the bundler doesn't follow: client-node would treble the bundle, and in a
  // cluster there is no kubeconfig.
  const unbundled = "./kubeconfig.ts";
  const { kubeconfigCredentials } = (await import(unbundled)) as typeof import("./kubeconfig.ts");
  return kubeconfigCredentials();
}
