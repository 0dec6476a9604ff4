/** Content by digest: small blobs that are kept, and downloads of large ones. */
export { BlobStore } from './blobs.ts';
export { type DownloadObserver, download, TRANSFER_POLICY, type TransferPolicy } from './download.ts';
export { type Part, PartStore } from './parts.ts';
