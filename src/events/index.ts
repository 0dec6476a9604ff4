/** Lifecycle events of sandboxes and containers over a bounded bus. */
export { EventBus, type LifecycleEvent, type LifecycleEventKind } from './bus.ts';
