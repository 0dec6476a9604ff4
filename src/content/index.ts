/** Content by digest: small blobs that are kept, and downloads of large ones. */
export { BlobStore } from './blobs.ts';
export { download, TRANSFER_POLICY, type TransferPolicy } from './download.ts';
