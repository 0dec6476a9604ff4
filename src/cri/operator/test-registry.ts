/** TestRegistry: what a pull would meet, endpoint by endpoint. Credentials are passed on and never logged. */
import type { operator } from '../../gen/index.ts';
import type { EndpointReport } from '../../registry/index.ts';
import type { CallContext } from '../call.ts';
import { credentialsFromWire } from '../convert-image.ts';
import type { CriDependencies } from '../dependencies.ts';
import { toInt64 } from '../int64.ts';

/** Answers when every endpoint was asked, whatever they say. */
export async function testRegistry(
  deps: CriDependencies,
  request: operator.TestRegistryRequest,
  call: CallContext,
): Promise<operator.TestRegistryResponseInit> {
  const { reference, endpoints } = await deps.images.testRegistry(request.image, credentialsFromWire(request.credentials), call.signal);
  return { reference, endpoints: endpoints.map(reportToWire) };
}

function reportToWire(report: EndpointReport): operator.EndpointReportInit {
  const { url, own, source, login, proxy, tls, ok, said, verdict, connectedNs, answeredNs, digest } = report;
  return {
    url,
    own,
    source,
    credentials: login.whose,
    login: login.how,
    proxy: proxy ?? '',
    tls: tls === undefined ? undefined : { ...tls, notAfter: toInt64(tls.notAfterNs) },
    ok,
    said,
    // biome-ignore lint/suspicious/noThenProperty: the field's name on the wire; its value is a word
    then: verdict,
    connectedAfter: toInt64(connectedNs ?? 0n),
    answeredAfter: toInt64(answeredNs ?? 0n),
    digest: digest ?? '',
  };
}
