/** A relay whose port 443 is closed; all others, which are nginx's too, stay open. */
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { accepts } from "./accepts.ts";
import type { RelayPod } from "./relay-pod.ts";
import { until } from "./until.ts";

/** Resolves once nobody can connect to it; the function that is returned opens it again. */
export async function closeHttps(pod: Pick<RelayPod, "exec" | "configure" | "host">): Promise<() => Promise<void>> {
  const conf = await pod.exec("web", "cat", `${folders.webConfig}/nginx.conf`);
  const inWeb = async (script: string) => (await pod.exec("web", "sh", "-c", script)).trim();
  const serve = async (text: string, open: boolean) => {
    await pod.configure("web", "nginx.conf", text);
    const before = await inWeb(
      "master=$(cat /tmp/nginx.pid); cat /proc/$master/task/$master/children; kill -HUP $master",
    );
    const asWanted = async () => (await accepts(pod.host, ports.https)) === open;
    await until(`port 443 to be ${open ? "open" : "closed"}`, asWanted);
    // connections that are there would be served to their end by the process that has them
    await inWeb(`kill -TERM ${before} 2>/dev/null || true`);
  };
  await serve(
    conf.replace(new RegExp(`^ *listen (\\[::\\]:)?${ports.https}\\b.*\n`, "gm"), (_, six) =>
      six ? "" : "    listen 127.0.0.1:10443;\n",
    ),
    false,
  );
  return () => serve(conf, true);
}
