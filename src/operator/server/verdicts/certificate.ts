import { problemOf } from "../../identity/read.ts";
import { lossesIn } from "../losses.ts";
import { type Check, notCreated } from "./check.ts";

export const certificateIsFine: Check = ({ certificate, identity }, server) =>
  identity.tls?.state === "absent" && server.spec.management === "Unmanaged"
    ? notCreated(server, "certificate")
    : certificate.problem;

export const keyIsFine: Check = (seen, server) =>
  lossesIn(server, seen).find(({ of }) => of === "dkim") ?? problemOf(seen.identity.dkim);
