"""What a store of collections is to the server: the one interface of all first passes.

::

    Store        collections by name: made, found, listed, renamed, deleted, and their aliases
    Collection   one of them: what is written to it and read of it
    Retrieval    the use that one search makes of it: the lists it finds, what it reads of them

Five optional interfaces stand beside them: `SnapshotStore` of stores that copy collections,
`HybridRetrieval` of stores that find both lists in one round trip, `InspectableStore` of stores
that know without a round trip what they hold, `FeedbackStoreMaker` of stores that keep clicks and
judgements too, `DeviceSearchingStore` of stores whose vectors a GPU of this machine may search.

Every `async` method runs on the server's event loop and never blocks it: what blocks is left to
threads or to another machine. Every `stop` ends the work soon after it is set, with `StoppedError`;
a change that has begun is completed all the same, unless its method says otherwise. Schemas,
documents, filters, results and errors are the plain types of this folder, the same for all stores.

What can't be done raises:

    UnsupportedByStoreError   this kind of store never does it; names the feature and the way out
    StoreUnreachableError     the store does not answer now; another try may succeed
    StorageError              the store, or what is in it, does not allow it
    LaneFullError             as much work of the kind waits as may
    CollectionNotFoundError   no collection has that name, or it was deleted meanwhile
    CollectionClosedError     the collection was deleted, or the store closed, during the call

and what a method names beside them.
"""
