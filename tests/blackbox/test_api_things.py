"""The registry through boto3: things, types, groups, principals, tags (API reference of AWS IoT)."""

import base64
import json

import pytest

from provision import unique


@pytest.fixture
def iot(account):
    return account.iot


def refused(iot, code, status, operation, /, **arguments):
    """The call fails with this AWS error code and HTTP status; returns the error."""
    with pytest.raises(iot.exceptions.ClientError) as caught:
        getattr(iot, operation)(**arguments)
    response = caught.value.response
    assert response["Error"]["Code"] == code, response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status, response
    assert response["Error"]["Message"], response
    return response


def pages(iot, operation, key, **arguments):
    """All items of a listing, following nextToken or marker; and how many pages there were."""
    items, count = [], 0
    for page in iot.get_paginator(operation).paginate(**arguments):
        items += page[key]
        count += 1
    return items, count


# ---- things ----------------------------------------------------------------------------------------------------


def test_thing_life(iot, server):
    name = unique("thing")
    made = iot.create_thing(thingName=name, attributePayload={"attributes": {"color": "red", "size": "2"}})
    assert made["thingName"] == name and made["thingArn"] == server.arn(f"thing/{name}") and len(made["thingId"]) == 36
    seen = iot.describe_thing(thingName=name)
    assert (seen["version"], seen["attributes"], seen["defaultClientId"]) == (1, {"color": "red", "size": "2"}, name)
    assert seen["thingId"] == made["thingId"] and "thingTypeName" not in seen
    iot.update_thing(thingName=name, attributePayload={"attributes": {"color": "blue"}, "merge": True})
    assert iot.describe_thing(thingName=name)["attributes"] == {"color": "blue", "size": "2"}
    iot.update_thing(thingName=name, attributePayload={"attributes": {"shape": "round"}})
    seen = iot.describe_thing(thingName=name)
    assert (seen["version"], seen["attributes"]) == (3, {"shape": "round"})
    iot.update_thing(thingName=name, attributePayload={"attributes": {"shape": ""}, "merge": True})
    assert iot.describe_thing(thingName=name)["attributes"] == {}
    iot.delete_thing(thingName=name)
    refused(iot, "ResourceNotFoundException", 404, "describe_thing", thingName=name)


def test_creating_the_same_thing_again_is_idempotent_and_another_is_refused(iot):
    name = unique("thing")
    first = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
    again = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
    assert first["thingId"] == again["thingId"]
    error = refused(iot, "ResourceAlreadyExistsException", 409, "create_thing", thingName=name,
                    attributePayload={"attributes": {"a": "2"}})
    assert error["resourceId"] == name and error["resourceArn"] == first["thingArn"]


def test_deleting_a_thing_that_is_not_there_succeeds(iot):
    iot.delete_thing(thingName=unique("nothing"))


def test_expected_version_guards_against_lost_updates(iot):
    name = unique("thing")
    iot.create_thing(thingName=name)
    iot.update_thing(thingName=name, attributePayload={"attributes": {"a": "1"}}, expectedVersion=1)
    refused(iot, "VersionConflictException", 409, "update_thing", thingName=name,
            attributePayload={"attributes": {"a": "2"}}, expectedVersion=1)
    refused(iot, "VersionConflictException", 409, "delete_thing", thingName=name, expectedVersion=1)
    iot.delete_thing(thingName=name, expectedVersion=2)


def test_thing_without_type_has_at_most_three_attributes(iot):
    refused(iot, "InvalidRequestException", 400, "create_thing", thingName=unique("thing"),
            attributePayload={"attributes": {str(n): "x" for n in range(4)}})


@pytest.mark.parametrize("bad", ["with space", "slash/inside", "ü", "x" * 129])
def test_thing_names_are_checked_by_the_server(server, bad):
    iot = server.boto("iot")
    iot.meta.events.register("before-parameter-build.iot.CreateThing", lambda **_: None)
    from botocore.config import Config

    lax = server.boto("iot", config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))
    refused(lax, "InvalidRequestException", 400, "create_thing", thingName=bad)


def test_attribute_values_are_checked(iot):
    refused(iot, "InvalidRequestException", 400, "create_thing", thingName=unique("thing"),
            attributePayload={"attributes": {"a": "not allowed: space"}})


def test_things_are_listed_in_pages_and_by_attribute(iot):
    prefix, names = unique("listed"), []
    for number in range(7):
        names.append(f"{prefix}-{number}")
        iot.create_thing(thingName=names[-1], attributePayload={"attributes": {"batch": prefix, "odd": str(number % 2)}})
    things, count = pages(iot, "list_things", "things", attributeName="batch", attributeValue=prefix, PaginationConfig={"PageSize": 3})
    assert sorted(t["thingName"] for t in things) == names and count >= 3
    assert things[0]["version"] == 1 and things[0]["attributes"]["batch"] == prefix
    by_prefix = iot.list_things(attributeName="batch", attributeValue=prefix[:-1], usePrefixAttributeValue=True, maxResults=250)
    assert {t["thingName"] for t in by_prefix["things"]} >= set(names)


def test_page_token_that_is_none_is_refused(iot):
    refused(iot, "InvalidRequestException", 400, "list_things", nextToken="made up")


# ---- thing types -----------------------------------------------------------------------------------------------


def test_thing_type_life(iot, server):
    name, thing = unique("type"), unique("thing")
    properties = {"thingTypeDescription": "a lamp", "searchableAttributes": ["color"]}
    made = iot.create_thing_type(thingTypeName=name, thingTypeProperties=properties)
    assert made["thingTypeArn"] == server.arn(f"thingtype/{name}")
    seen = iot.describe_thing_type(thingTypeName=name)
    assert seen["thingTypeProperties"]["thingTypeDescription"] == "a lamp"
    assert seen["thingTypeMetadata"]["deprecated"] is False
    iot.create_thing(thingName=thing, thingTypeName=name, attributePayload={"attributes": {str(n): "x" for n in range(10)}})
    assert iot.describe_thing(thingName=thing)["thingTypeName"] == name
    assert [t["thingTypeName"] for t in iot.list_thing_types(thingTypeName=name)["thingTypes"]] == [name]
    refused(iot, "InvalidRequestException", 400, "delete_thing_type", thingTypeName=name)
    iot.deprecate_thing_type(thingTypeName=name)
    assert iot.describe_thing_type(thingTypeName=name)["thingTypeMetadata"]["deprecated"] is True
    refused(iot, "InvalidRequestException", 400, "create_thing", thingName=unique("thing"), thingTypeName=name)
    iot.deprecate_thing_type(thingTypeName=name, undoDeprecate=True)
    iot.update_thing(thingName=thing, removeThingType=True, attributePayload={"attributes": {}})
    assert "thingTypeName" not in iot.describe_thing(thingName=thing)


def test_unknown_thing_type_is_not_found(iot):
    refused(iot, "ResourceNotFoundException", 404, "describe_thing_type", thingTypeName=unique("type"))
    refused(iot, "ResourceNotFoundException", 404, "create_thing", thingName=unique("thing"), thingTypeName=unique("type"))


# ---- thing groups ----------------------------------------------------------------------------------------------


def test_thing_group_life(iot, server):
    parent, child = unique("parent"), unique("child")
    iot.create_thing_group(thingGroupName=parent)
    made = iot.create_thing_group(thingGroupName=child, parentGroupName=parent,
                                  thingGroupProperties={"thingGroupDescription": "kids", "attributePayload": {"attributes": {"a": "b"}}})
    assert made["thingGroupArn"] == server.arn(f"thinggroup/{child}")
    seen = iot.describe_thing_group(thingGroupName=child)
    assert seen["version"] == 1 and seen["thingGroupMetadata"]["parentGroupName"] == parent
    assert [g["groupName"] for g in seen["thingGroupMetadata"]["rootToParentThingGroups"]] == [parent]
    assert seen["thingGroupProperties"]["attributePayload"]["attributes"] == {"a": "b"}
    assert iot.update_thing_group(thingGroupName=child, thingGroupProperties={"thingGroupDescription": "new"})["version"] == 2
    refused(iot, "VersionConflictException", 409, "update_thing_group", thingGroupName=child, thingGroupProperties={}, expectedVersion=1)
    refused(iot, "InvalidRequestException", 400, "delete_thing_group", thingGroupName=parent)
    iot.delete_thing_group(thingGroupName=child)
    iot.delete_thing_group(thingGroupName=parent)
    refused(iot, "ResourceNotFoundException", 404, "describe_thing_group", thingGroupName=parent)
    iot.delete_thing_group(thingGroupName=parent)


def test_group_membership(iot):
    thing, root, leaf, other = (unique(kind) for kind in ("thing", "root", "leaf", "other"))
    iot.create_thing(thingName=thing)
    iot.create_thing_group(thingGroupName=root)
    iot.create_thing_group(thingGroupName=leaf, parentGroupName=root)
    iot.create_thing_group(thingGroupName=other)
    iot.add_thing_to_thing_group(thingGroupName=leaf, thingName=thing)
    iot.add_thing_to_thing_group(thingGroupName=leaf, thingName=thing)
    assert [g["groupName"] for g in iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]] == [leaf]
    assert iot.list_things_in_thing_group(thingGroupName=leaf)["things"] == [thing]
    assert iot.list_things_in_thing_group(thingGroupName=root)["things"] == []
    assert iot.list_things_in_thing_group(thingGroupName=root, recursive=True)["things"] == [thing]
    refused(iot, "InvalidRequestException", 400, "add_thing_to_thing_group", thingGroupName=root, thingName=thing)
    iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToAdd=[other], thingGroupsToRemove=[leaf])
    assert [g["groupName"] for g in iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]] == [other]
    refused(iot, "ResourceNotFoundException", 404, "add_thing_to_thing_group", thingGroupName=other, thingName=unique("nothing"))
    iot.delete_thing(thingName=thing)
    assert iot.list_things_in_thing_group(thingGroupName=other)["things"] == []


def test_groups_are_listed_by_parent_and_prefix(iot):
    root = unique("root")
    iot.create_thing_group(thingGroupName=root)
    children = [f"{root}-{n}" for n in range(3)]
    for child in children:
        iot.create_thing_group(thingGroupName=child, parentGroupName=root)
    grandchild = f"{root}-deep"
    iot.create_thing_group(thingGroupName=grandchild, parentGroupName=children[0])
    direct = iot.list_thing_groups(parentGroup=root, recursive=False)["thingGroups"]
    assert sorted(g["groupName"] for g in direct) == children
    everything, count = pages(iot, "list_thing_groups", "thingGroups", parentGroup=root, recursive=True, PaginationConfig={"PageSize": 2})
    assert sorted(g["groupName"] for g in everything) == sorted(children + [grandchild]) and count >= 2
    named = iot.list_thing_groups(namePrefixFilter=f"{root}-")["thingGroups"]
    assert {g["groupName"] for g in named} == {*children, grandchild}


def test_a_made_up_token_shows_no_group_outside_of_the_one_that_was_named(iot):
    # A token is the caller's word; who may list one group of things may list no other by it.
    mine, inner, deep, other, below = (unique(kind) for kind in ("mine", "inner", "deep", "other", "below"))
    for group, parent in ((mine, None), (inner, mine), (deep, inner), (other, None), (below, other)):
        iot.create_thing_group(thingGroupName=group, **({"parentGroupName": parent} if parent else {}))
        thing = f"in-{group}"
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName=group, thingName=thing)
    identity = {group: iot.describe_thing_group(thingGroupName=group)["thingGroupId"] for group in (mine, inner, other)}
    outside = [["walk", other, ""], ["walk", "", "", other, ""], ["walk", "", "", below, ""],
               ["walk", other, identity[other], below, ""], ["walk", inner, identity[inner], below, ""],
               ["walk", mine, identity[mine], other, ""]]
    for parts in outside:
        token = base64.b64encode("".join(part + "\0" for part in parts).encode()).decode()
        refused(iot, "InvalidRequestException", 400, "list_things_in_thing_group",
                thingGroupName=mine, recursive=True, nextToken=token)
        refused(iot, "InvalidRequestException", 400, "list_thing_groups", parentGroup=mine, nextToken=token)
    page, found = iot.list_things_in_thing_group(thingGroupName=mine, recursive=True, maxResults=1), []
    while "nextToken" in page:
        # Good for its own tree only.
        refused(iot, "InvalidRequestException", 400, "list_things_in_thing_group",
                thingGroupName=other, recursive=True, nextToken=page["nextToken"])
        found += page["things"]
        page = iot.list_things_in_thing_group(thingGroupName=mine, recursive=True, maxResults=1, nextToken=page["nextToken"])
    assert found + page["things"] == [f"in-{group}" for group in (mine, inner, deep)]


def test_thing_group_depth_is_limited_to_seven(iot):
    names = [unique("depth") for _ in range(8)]
    iot.create_thing_group(thingGroupName=names[0])
    for parent, child in zip(names, names[1:7]):
        iot.create_thing_group(thingGroupName=child, parentGroupName=parent)
    with pytest.raises(iot.exceptions.ClientError):
        iot.create_thing_group(thingGroupName=names[7], parentGroupName=names[6])


# ---- principals ------------------------------------------------------------------------------------------------


def test_principals_of_things(iot, account):
    thing, device = unique("thing"), account.certificate()
    iot.create_thing(thingName=thing)
    iot.attach_thing_principal(thingName=thing, principal=device.arn)
    iot.attach_thing_principal(thingName=thing, principal=device.arn)
    assert iot.list_thing_principals(thingName=thing)["principals"] == [device.arn]
    assert iot.list_thing_principals_v2(thingName=thing)["thingPrincipalObjects"] == [
        {"principal": device.arn, "thingPrincipalType": "NON_EXCLUSIVE_THING"}]
    assert iot.list_principal_things(principal=device.arn)["things"] == [thing]
    assert iot.list_principal_things_v2(principal=device.arn)["principalThingObjects"] == [
        {"thingName": thing, "thingPrincipalType": "NON_EXCLUSIVE_THING"}]
    refused(iot, "InvalidRequestException", 400, "delete_thing", thingName=thing)
    iot.detach_thing_principal(thingName=thing, principal=device.arn)
    assert iot.list_thing_principals(thingName=thing)["principals"] == []
    iot.delete_thing(thingName=thing)


def test_exclusive_thing_shares_its_certificate_with_no_other(iot, account):
    first, second, device = unique("thing"), unique("thing"), account.certificate()
    for thing in (first, second):
        iot.create_thing(thingName=thing)
    iot.attach_thing_principal(thingName=first, principal=device.arn, thingPrincipalType="EXCLUSIVE_THING")
    with pytest.raises(iot.exceptions.ClientError):
        iot.attach_thing_principal(thingName=second, principal=device.arn)
    assert iot.list_principal_things_v2(principal=device.arn, thingPrincipalType="EXCLUSIVE_THING")["principalThingObjects"] == [
        {"thingName": first, "thingPrincipalType": "EXCLUSIVE_THING"}]


def test_attaching_to_or_from_nothing_is_not_found(iot, account, server):
    thing = unique("thing")
    iot.create_thing(thingName=thing)
    refused(iot, "ResourceNotFoundException", 404, "attach_thing_principal", thingName=thing, principal=server.arn("cert/" + "0" * 64))
    refused(iot, "ResourceNotFoundException", 404, "attach_thing_principal", thingName=unique("no"), principal=account.certificate().arn)


# ---- tags and the endpoint -------------------------------------------------------------------------------------


def test_tags(iot):
    name = unique("group")
    arn = iot.create_thing_group(thingGroupName=name, tags=[{"Key": "a", "Value": "1"}])["thingGroupArn"]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    tags = {tag["Key"]: tag["Value"] for tag in iot.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert tags == {"a": "3", "b": "2"}
    iot.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "b", "Value": "2"}]
    refused(iot, "ResourceNotFoundException", 404, "list_tags_for_resource", resourceArn=arn + "x")


def test_endpoint_is_described_and_stays(iot, server):
    address = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    assert address == server.ready["endpoint"]
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] == address
    refused(iot, "InvalidRequestException", 400, "describe_endpoint", endpointType="iot:Nonsense")


def test_billing_group_life(iot, server):
    group, thing = unique("billing"), unique("thing")
    made = iot.create_billing_group(billingGroupName=group, billingGroupProperties={"billingGroupDescription": "one"},
                                    tags=[{"Key": "team", "Value": "a"}])
    assert made["billingGroupArn"] == server.arn(f"billinggroup/{group}")
    assert iot.create_billing_group(billingGroupName=group, billingGroupProperties={"billingGroupDescription": "one"})["billingGroupId"] \
        == made["billingGroupId"]
    refused(iot, "ResourceAlreadyExistsException", 409, "create_billing_group", billingGroupName=group)
    assert iot.list_tags_for_resource(resourceArn=made["billingGroupArn"])["tags"] == [{"Key": "team", "Value": "a"}]
    assert iot.update_billing_group(billingGroupName=group, expectedVersion=1,
                                    billingGroupProperties={"billingGroupDescription": "two"})["version"] == 2
    refused(iot, "VersionConflictException", 409, "update_billing_group", billingGroupName=group, billingGroupProperties={}, expectedVersion=1)
    seen = iot.describe_billing_group(billingGroupName=group)
    assert seen["version"] == 2 and seen["billingGroupProperties"] == {"billingGroupDescription": "two"}
    assert seen["billingGroupMetadata"]["creationDate"]
    assert [row["groupName"] for row in iot.list_billing_groups(namePrefixFilter=group)["billingGroups"]] == [group]

    refused(iot, "ResourceNotFoundException", 404, "create_thing", thingName=thing, billingGroupName=unique("none"))
    iot.create_thing(thingName=thing, billingGroupName=group)
    assert iot.describe_thing(thingName=thing)["billingGroupName"] == group
    other = unique("billing")
    iot.create_billing_group(billingGroupName=other)
    refused(iot, "InvalidRequestException", 400, "add_thing_to_billing_group", thingName=thing, billingGroupName=other)
    iot.remove_thing_from_billing_group(thingArn=server.arn(f"thing/{thing}"), billingGroupArn=made["billingGroupArn"])
    iot.add_thing_to_billing_group(thingName=thing, billingGroupName=other)
    assert iot.list_things_in_billing_group(billingGroupName=other)["things"] == [thing]
    refused(iot, "VersionConflictException", 409, "delete_billing_group", billingGroupName=group, expectedVersion=1)
    for name in (group, other):
        iot.delete_billing_group(billingGroupName=name)
    assert "billingGroupName" not in iot.describe_thing(thingName=thing)
    refused(iot, "ResourceNotFoundException", 404, "describe_billing_group", billingGroupName=group)


def test_a_provisioning_template_names_a_billing_group(iot):
    group, thing = unique("billing"), unique("thing")
    template = json.dumps({"Resources": {"thing": {"Type": "AWS::IoT::Thing",
                                                   "Properties": {"ThingName": thing, "BillingGroup": group}}}})
    refused(iot, "ResourceRegistrationFailureException", 400, "register_thing", templateBody=template)
    iot.create_billing_group(billingGroupName=group)
    iot.register_thing(templateBody=template)
    assert iot.describe_thing(thingName=thing)["billingGroupName"] == group
