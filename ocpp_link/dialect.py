"""What differs by version: subprotocol names, error code names, the action table.

Rule 1: every difference between the versions that the protocol machine needs is data in this file.
Rule 2: this file knows nothing of payloads (``schemas`` does) and nothing of connections.
"""

from enum import Enum
from functools import cache
from typing import Literal, NamedTuple

Version = Literal["1.6", "2.0.1", "2.1"]
VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")

SUBPROTOCOLS: dict[Version, str] = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
"""As registered at IANA (OCPP 1.6J section 3.3, 2.x part 4 section 3.1.2)."""

MAX_MESSAGE_ID_LENGTH = 36
MAX_ERROR_DESCRIPTION_LENGTH = 255
UNREADABLE_ID = "-1"
"""The id that a CALLERROR carries when the faulty frame's own could not be read (2.0.1 part 4 section 4.2.3)."""


class Role(Enum):
    """Which end of the connection a machine plays."""

    CSMS = "csms"
    STATION = "station"


class Fault(Enum):
    """What can be wrong with a call; the value is the spelling of 2.x."""

    FORMAT = "FormatViolation"
    GENERIC = "GenericError"
    INTERNAL = "InternalError"
    MESSAGE_TYPE = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE = "OccurrenceConstraintViolation"
    PROPERTY = "PropertyConstraintViolation"
    PROTOCOL = "ProtocolError"
    RPC_FRAMEWORK = "RpcFrameworkError"
    SECURITY = "SecurityError"
    TYPE = "TypeConstraintViolation"


_CODES_16 = {
    Fault.FORMAT: "FormationViolation",
    Fault.OCCURRENCE: "OccurenceConstraintViolation",  # sic: one r in the 1.6 specification
    Fault.RPC_FRAMEWORK: "FormationViolation",
    Fault.MESSAGE_TYPE: "GenericError",
}


def error_code(version: Version, fault: Fault) -> str:
    """Return the error code with which ``version`` names a fault.

    Examples
    --------
    >>> error_code("1.6", Fault.OCCURRENCE), error_code("2.0.1", Fault.OCCURRENCE)
    ('OccurenceConstraintViolation', 'OccurrenceConstraintViolation')
    """
    if version == "1.6":
        return _CODES_16.get(fault, fault.value)
    return fault.value


class Action(NamedTuple):
    """One row of the action table."""

    name: str
    version: Version
    block: str
    """Feature profile (1.6) or functional block (2.x)."""
    from_station: bool
    from_csms: bool
    has_response: bool = True
    """False for the messages of type SEND (2.1)."""

    def may_come_from(self, role: Role) -> bool:
        """Tell whether this role may send the action."""
        return self.from_csms if role is Role.CSMS else self.from_station


# One line per block: (block, actions of the station, actions of the CSMS). DataTransfer goes both ways.
_Row = tuple[str, str, str]

_ROWS_16: tuple[_Row, ...] = (
    (
        "Core",
        "Authorize BootNotification DataTransfer Heartbeat MeterValues StartTransaction StatusNotification"
        " StopTransaction",
        "ChangeAvailability ChangeConfiguration ClearCache DataTransfer GetConfiguration RemoteStartTransaction"
        " RemoteStopTransaction Reset UnlockConnector",
    ),
    (
        "FirmwareManagement",
        "DiagnosticsStatusNotification FirmwareStatusNotification",
        "GetDiagnostics UpdateFirmware",
    ),
    ("LocalAuthListManagement", "", "GetLocalListVersion SendLocalList"),
    ("Reservation", "", "CancelReservation ReserveNow"),
    ("SmartCharging", "", "ClearChargingProfile GetCompositeSchedule SetChargingProfile"),
    ("RemoteTrigger", "", "TriggerMessage"),
    (
        "Security",  # the security whitepaper
        "LogStatusNotification SecurityEventNotification SignCertificate SignedFirmwareStatusNotification",
        "CertificateSigned DeleteCertificate ExtendedTriggerMessage GetInstalledCertificateIds GetLog"
        " InstallCertificate SignedUpdateFirmware",
    ),
)

_ROWS_201: tuple[_Row, ...] = (
    ("A Security", "SecurityEventNotification SignCertificate", "CertificateSigned"),
    (
        "B Provisioning",
        "BootNotification NotifyReport",
        "GetBaseReport GetReport GetVariables Reset SetNetworkProfile SetVariables",
    ),
    ("C Authorization", "Authorize", "ClearCache"),
    ("D LocalAuthorizationList", "", "GetLocalListVersion SendLocalList"),
    ("E Transactions", "TransactionEvent", "GetTransactionStatus"),
    ("F RemoteControl", "", "RequestStartTransaction RequestStopTransaction TriggerMessage UnlockConnector"),
    ("G Availability", "Heartbeat StatusNotification", "ChangeAvailability"),
    ("H Reservation", "ReservationStatusUpdate", "CancelReservation ReserveNow"),
    ("I TariffAndCost", "", "CostUpdated"),
    ("J MeterValues", "MeterValues", ""),
    (
        "K SmartCharging",
        "ClearedChargingLimit NotifyChargingLimit NotifyEVChargingNeeds NotifyEVChargingSchedule"
        " ReportChargingProfiles",
        "ClearChargingProfile GetChargingProfiles GetCompositeSchedule SetChargingProfile",
    ),
    (
        "L FirmwareManagement",
        "FirmwareStatusNotification PublishFirmwareStatusNotification",
        "PublishFirmware UnpublishFirmware UpdateFirmware",
    ),
    (
        "M CertificateManagement",
        "Get15118EVCertificate GetCertificateStatus",
        "DeleteCertificate GetInstalledCertificateIds InstallCertificate",
    ),
    (
        "N Diagnostics",
        "LogStatusNotification NotifyCustomerInformation NotifyEvent NotifyMonitoringReport",
        "ClearVariableMonitoring CustomerInformation GetLog GetMonitoringReport SetMonitoringBase SetMonitoringLevel"
        " SetVariableMonitoring",
    ),
    ("O DisplayMessage", "NotifyDisplayMessages", "ClearDisplayMessage GetDisplayMessages SetDisplayMessage"),
    ("P DataTransfer", "DataTransfer", "DataTransfer"),
)

_ROWS_21_ADDED: tuple[_Row, ...] = (
    (
        "I TariffAndCost",
        "NotifySettlement VatNumberValidation",
        "ChangeTransactionTariff ClearTariffs GetTariffs NotifyWebPaymentStarted SetDefaultTariff",
    ),
    (
        "K SmartCharging",
        "NotifyPriorityCharging PullDynamicScheduleUpdate",
        "UpdateDynamicSchedule UsePriorityCharging",
    ),
    ("M CertificateManagement", "GetCertificateChainStatus", ""),
    (
        "N Diagnostics",
        "ClosePeriodicEventStream NotifyPeriodicEventStream OpenPeriodicEventStream",
        "AdjustPeriodicEventStream GetPeriodicEventStream",
    ),
    ("Q BidirectionalPowerTransfer", "", "AFRRSignal NotifyAllowedEnergyTransfer"),
    (
        "R DERControl",
        "NotifyDERAlarm NotifyDERStartStop ReportDERControl",
        "ClearDERControl GetDERControl SetDERControl",
    ),
    ("S BatterySwapping", "BatterySwap", "RequestBatterySwap"),
)

_SEND_ONLY = frozenset({"NotifyPeriodicEventStream"})

_ROWS: dict[Version, tuple[_Row, ...]] = {
    "1.6": _ROWS_16,
    "2.0.1": _ROWS_201,
    "2.1": _ROWS_201 + _ROWS_21_ADDED,
}


@cache
def calls_of(version: Version, role: Role) -> frozenset[str]:
    """Return the actions that a role may call: those that want an answer.

    Examples
    --------
    >>> len(calls_of("1.6", Role.CSMS)), "Heartbeat" in calls_of("1.6", Role.CSMS)
    (26, False)
    """
    return frozenset(name for name, row in actions(version).items() if row.may_come_from(role) and row.has_response)


@cache
def actions(version: Version) -> dict[str, Action]:
    """Return the action table of a version: 39 actions in 1.6, 64 in 2.0.1, 91 in 2.1.

    Examples
    --------
    >>> [len(actions(version)) for version in VERSIONS]
    [39, 64, 91]
    >>> actions("1.6")["SetChargingProfile"].may_come_from(Role.STATION)
    False
    """
    table: dict[str, Action] = {}
    for block, station, csms in _ROWS[version]:
        of_station, of_csms = station.split(), csms.split()
        for name in dict.fromkeys(of_station + of_csms):
            table[name] = Action(
                name=name,
                version=version,
                block=block,
                from_station=name in of_station,
                from_csms=name in of_csms,
                has_response=name not in _SEND_ONLY,
            )
    return table


TRANSACTION_ACTIONS = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})
"""A station retries a refused one of these a few times and then discards it for ever, so they are never refused for
cosmetic faults (1.6 section 3.7.1 on TransactionMessageAttempts)."""
