import { createConnection } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openReports } from "../../../../src/relay/wire/report-server.ts";
import { until } from "../../../helpers/until.ts";
import { settings } from "../settings.ts";

test("reports are taken in their order, and one that fails does not end the connection", async () => {
  const taken: string[][] = [];
  const failures: unknown[] = [];
  const protocolErrors: string[] = [];
  const server = await openReports({
    path: join(settings().runFolder, "reports.sock"),
    take: async (fields) => {
      taken.push([...fields]);
      if (fields[0] === "bad") throw new Error("no");
    },
    onFailure: (thrown) => failures.push(thrown),
    onProtocolError: (why) => void protocolErrors.push(why),
  });
  const socket = createConnection(server.path);
  socket.write("a@b.org\tc@d.org\nbad\ne@f.org\t\n");
  await until("three reports", () => taken.length === 3);
  expect(taken).toEqual([["a@b.org", "c@d.org"], ["bad"], ["e@f.org", ""]]);
  expect(failures).toHaveLength(1);
  socket.write("x".repeat(10_000));
  await until("the end of the connection", () => protocolErrors.length === 1);
  socket.destroy();
  await server.close(0);
});
